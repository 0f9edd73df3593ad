"""A trained model from its checkpoint, for the programs that use one."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import haiku as hk
from absl import app, flags
from ml_collections import config_dict, config_flags

from experiments import build
from perceiver_jax.engine import checkpoint, sharding, writer
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Task

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "A run's folder, or one of its checkpoints."
)
STEP = flags.DEFINE_string("step", "latest", "'latest', 'best' or a number.")


class Restored(NamedTuple):
    """The model of a checkpoint.

    Attributes:
      config: the checkpoint's config, with the overrides of the command line.
      parallel: where arrays live.
      variables: placed for `parallel`.
      about: what the checkpoint says of itself.
      folder: the checkpoint.
    """

    config: config_dict.ConfigDict
    parallel: sharding.OverMesh | sharding.OverPmap
    variables: Variables
    about: Mapping[str, Any]
    folder: pathlib.Path

    def make_task(self) -> tuple[Task, hk.TransformedWithState]:
        """Returns the task that was trained, with its data, and its forward pass."""
        sharding.check_batch_size("eval_batch_size", self.config.eval_batch_size)
        task = build.make_task(self.config)
        self.check_vocabulary(task.vocabulary)
        return task, make_forward(task.forward, parse_policy(self.config.precision))

    @property
    def whole_variables(self) -> Variables:
        """`variables` for a program of one's own: without pmap's axis of devices."""
        return Variables(*self.parallel.to_save(self.variables))

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The names of every task's classes, where the checkpoint has them."""
        return self.about.get("class_names", {})

    def check_vocabulary(self, vocabulary: str) -> None:
        """Raises ValueError if the model was trained on other tokens."""
        checkpoint.check_vocabulary(self.about, vocabulary, str(self.folder))


def run(main: Callable[[Restored, Sequence[str]], None]) -> None:
    """Runs main(restored, arguments) on the checkpoint of --workdir and --step.

    The config is the checkpoint's; --config.FIELD=VALUE overrides a field of it.
    """
    loaded: dict[str, Any] = {}

    def load():
        if not _WORKDIR.value:
            return None
        variables, about, folder = checkpoint.load_variables(_WORKDIR.value, STEP.value)
        loaded.update(variables=variables, about=about, folder=folder)
        return config_dict.ConfigDict(tuples(about["config"]))

    def parse(argv: Sequence[str]) -> list[str]:
        writer.log_to_console()
        rest, loaded["config"] = parse_flags(argv, load)
        return rest

    def start(argv):
        if loaded["config"] is None:
            raise app.UsageError("--workdir=DIR is missing: the folder of a run.")
        restored = _restore(**loaded)
        main(restored, argv[1:])

    app.run(start, flags_parser=parse)


def parse_flags(
    argv: Sequence[str], load_config: Callable[[], config_dict.ConfigDict | None]
) -> tuple[list[str], config_dict.ConfigDict | None]:
    """Parses flags where others say which --config.FIELD flags there are.

    Returns:
      The other arguments, and the config with its overrides, None where there is none.
    """
    rest = flags.FLAGS(argv, known_only=True)
    config = load_config() if flags.FLAGS.is_parsed() else None
    if config is None:
        return rest, None
    flags.FLAGS.unparse_flags()  # or repeated flags would have all values twice
    holder = config_flags.DEFINE_config_dict("config", config, sys_argv=list(argv))
    return flags.FLAGS(argv), holder.value


def no_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError for a program that takes flags only."""
    if arguments:
        raise app.UsageError(
            f"Unexpected: {' '.join(arguments)}. All is said by flags."
        )


def load(path: str | pathlib.Path, step: int | str = "latest") -> Restored:
    """Returns the model of a workdir or checkpoint, with the config that it holds."""
    variables, about, folder = checkpoint.load_variables(path, step)
    config = config_dict.ConfigDict(tuples(about["config"]))
    return _restore(config, variables, about, folder)


def _restore(
    config: config_dict.ConfigDict,
    variables: Any,
    about: Mapping[str, Any],
    folder: pathlib.Path,
) -> Restored:
    parallel = sharding.make_parallel(config.compile)
    placed = parallel.from_saved(Variables(**variables))
    return Restored(config, parallel, placed, about, folder)


def tuples(value: Any) -> Any:
    """JSON's lists as the tuples that configs have."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value
