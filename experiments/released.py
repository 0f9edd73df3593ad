"""The released models of all tasks: the rows of experiments/<task>/released.py."""

import importlib
import importlib.util
from collections.abc import Sequence

from ml_collections import config_dict

from experiments import build
from perceiver_jax.pretrained.released import Released


def find() -> dict[str, Released]:
    """Returns every released model by its name."""
    return {model.name: model for task in build.tasks() for model in of_task(task)}


def of_task(task: str) -> Sequence[Released]:
    """Returns the released models of a task, none where it has no such file."""
    name = f"experiments.{task}.released"
    if importlib.util.find_spec(name) is None:
        return ()
    return importlib.import_module(name).MODELS


def like(config: config_dict.ConfigDict) -> Released:
    """Returns the released model that a config is a relative of.

    Raises:
      ValueError: there is none, so it can't be exported.
    """
    for model in of_task(config.task):
        if all(config.model.get(k) == v for k, v in model.mark.items()):
            return model
    known = ", ".join(model.config for model in find().values())
    raise ValueError(
        f"No model was released that is like this one, of task='{config.task}', so it "
        f"can't be exported. Those that can are like {known}."
    )
