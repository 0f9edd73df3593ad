"""Training of a config, without flags."""

import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import config_dict

from experiments import build, checklist
from perceiver_jax.cluster import life, processes
from perceiver_jax.engine import sharding, training, window
from perceiver_jax.engine.checkpoints import checkpoint, description, init_from
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import Update

logger = logging.getLogger("perceiver_jax")

ROOT = pathlib.Path(__file__).parent.parent
CODE = ("perceiver_jax", "experiments", "configs")


def train(
    config: config_dict.ConfigDict,
    workdir: pathlib.Path,
    allow_changes: bool = False,
    resume_from: int | None = None,
    profile_steps: tuple[int, int] | None = None,
) -> None:
    """Trains what the config says, in `workdir`.

    Args:
      config: of the run.
      workdir: of the run; one that has checkpoints is gone on with.
      allow_changes: whether it may go on with another config.
      resume_from: step of the checkpoint to go on from, instead of the newest.
      profile_steps: the first and the last step to trace.
    """
    try:
        _check_workdir(workdir)
        plan = Plan.of(config, profile_steps)
    except Exception as error:
        processes.tell(str(error))
        raise
    facts = {
        "config": description.flatten(plan.about["config"]),
        "code": processes.code_version(*(ROOT / folder for folder in CODE)),
        "libraries": processes.library_versions(),
    }
    limits = life.Limits(config.heartbeat_limit, config.stall_limit)
    lived = life.join(workdir, facts, limits)
    logger.info("%s", checklist.checklist(*plan[:4], workdir))
    free = (*build.FREE, *build.find(config, "fields").FREE)
    run = training.Run(
        workdir, plan.about, plan.donor, free, allow_changes, resume_from
    )
    try:
        training.train(*plan[:4], run, lived)
    except window.NonFiniteError as error:
        look = f"python -m experiments.replay --workdir={workdir} --step={error.step}"
        message = f"{error} To see what did it:\n{look}"
        raise window.NonFiniteError(message, error.step) from error


class Plan(NamedTuple):
    """All that a config says, built."""

    task: Task
    update: Update
    parallel: sharding.OverMesh | sharding.OverPmap
    settings: training.Settings
    about: Mapping[str, Any]
    donor: init_from.Donor | None

    @classmethod
    def of(
        cls,
        config: config_dict.ConfigDict,
        profile_steps: tuple[int, int] | None = None,
    ) -> "Plan":
        """Builds it, and writes nothing."""
        build.check(config)
        parallel = build.make_parallel(config)
        for field, count in (("batch_size", config.accumulate), ("eval_batch_size", 1)):
            sharding.check_batch_size(field, config[field], count, parallel)
        task = build.make_task(config)
        num_examples = task.train.num_examples
        if config.batch_size > num_examples:
            logger.warning(
                "batch_size=%d is more than the %d examples that there are: a batch "
                "holds each about %.3g times.",
                *(config.batch_size, num_examples, config.batch_size / num_examples),
            )
        settings = build.make_settings(config, num_examples, profile_steps)
        donor, parent = None, ""
        if config.init_from:
            variables, saved, folder = checkpoint.load_variables(config.init_from)
            description.check_vocabulary(saved, task.identity.vocabulary, str(folder))
            donor = init_from.Donor(str(folder), variables, config.init_skip)
            parent = str(folder)
        about = description.describe(
            task.name, task.identity, json.loads(config.to_json()), parent
        )
        update = build.make_update(config, task.model, settings.total_steps)
        return cls(task, update, parallel, settings, about, donor)


def _check_workdir(workdir: pathlib.Path) -> None:
    """Raises ValueError for what can't become a folder."""
    if str(workdir).partition("/")[0].endswith(":"):  # it would be a folder "gs:"
        raise ValueError(
            f"--workdir={workdir} is no folder of this machine: mount the bucket, and "
            "name the folder where it is mounted."
        )
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: name a folder.")
