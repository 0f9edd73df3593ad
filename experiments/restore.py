"""A trained model from its checkpoint, for the programs that use one."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import haiku as hk
from absl import app, flags
from ml_collections import config_dict, config_flags

from experiments import build
from perceiver_jax import checkpoint, sharding, writer
from perceiver_jax.evaluation import Variables
from perceiver_jax.forward import make_forward, parse_policy
from perceiver_jax.task import Task

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "A run's folder, or one of its checkpoints."
)
_STEP = flags.DEFINE_string("step", "latest", "'latest', 'best' or a number.")


class Restored(NamedTuple):
    """A task and the variables that a checkpoint has for it.

    Attributes:
      config: the checkpoint's config, with the overrides of the command line.
      task: what was trained.
      forward: its forward pass.
      parallel: where arrays live.
      variables: placed for `parallel`.
      folder: the checkpoint.
    """

    config: config_dict.ConfigDict
    task: Task
    forward: hk.TransformedWithState
    parallel: sharding.OverMesh | sharding.OverPmap
    variables: Variables
    folder: pathlib.Path


def run(main: Callable[[Restored], None]) -> None:
    """Runs a program on the checkpoint of --workdir and --step.

    The config is the checkpoint's; --config.FIELD=VALUE overrides a field of it.
    """
    loaded: dict[str, Any] = {}

    def parse(argv: Sequence[str]) -> list[str]:
        writer.log_to_console()
        # The checkpoint's own config says which --config flags there are.
        rest = flags.FLAGS(argv, known_only=True)
        if flags.FLAGS.is_parsed() and _WORKDIR.value:
            variables, about, folder = checkpoint.load_variables(
                _WORKDIR.value, _STEP.value
            )
            loaded.update(variables=variables, folder=folder)
            config = config_dict.ConfigDict(_tuples(about["config"]))
            loaded["config"] = config_flags.DEFINE_config_dict(
                "config", config, sys_argv=list(argv)
            )
            rest = flags.FLAGS(argv)
        return rest

    def start(_):
        if not loaded:
            raise app.UsageError("--workdir=DIR is missing: the folder of a run.")
        main(_restore(loaded["config"].value, loaded["variables"], loaded["folder"]))

    app.run(start, flags_parser=parse)


def _restore(
    config: config_dict.ConfigDict, variables: Any, folder: pathlib.Path
) -> Restored:
    parallel = sharding.make_parallel(config.compile)
    sharding.check_batch_size("eval_batch_size", config.eval_batch_size)
    task = build.make_task(config)
    return Restored(
        config,
        task,
        make_forward(task, parse_policy(config.precision)),
        parallel,
        parallel.from_saved(Variables(**variables)),
        folder,
    )


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that configs have."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
