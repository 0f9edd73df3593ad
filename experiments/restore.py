"""A trained model from its checkpoint, for the programs that use one."""

import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import haiku as hk
import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_dict, config_flags

from experiments import build, program
from perceiver_jax.engine import sharding, writer
from perceiver_jax.engine.checkpoints import checkpoint, description, named_arrays
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Identity, Task

logger = logging.getLogger("perceiver_jax")

WORKDIR = flags.DEFINE_string(
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

    @property
    def workdir(self) -> pathlib.Path:
        """The folder of the run."""
        return self.folder.parent.parent

    @property
    def identity(self) -> Identity:
        """What inputs and outputs stand for."""
        return description.identity_of(self.about)

    @property
    def whole_variables(self) -> Variables:
        """`variables` for a program of one's own: without pmap's axis of devices."""
        return Variables(*self.parallel.to_save(self.variables))

    def make_task(self) -> tuple[Task, hk.TransformedWithState]:
        """Returns the task that was trained, with its data, and its forward pass.

        Raises:
          ValueError: its tokens or classes are not those that were trained on.
        """
        sharding.check_batch_size(
            "eval_batch_size", self.config.eval_batch_size, parallel=self.parallel
        )
        task = build.make_task(self.config)
        description.check_identity(self.about, task.identity, str(self.folder))
        policy = parse_policy(self.config.precision)
        return task, make_forward(task.model.forward, policy)


def run(
    main: Callable[[Restored, Sequence[str]], None],
    define_flags: Callable[[config_dict.ConfigDict], None] | None = None,
    takes_arguments: bool = False,
) -> None:
    """Runs main(restored, arguments) on the checkpoint of --workdir and --step.

    The config is the checkpoint's; --config.FIELD=VALUE overrides a field of it.

    Args:
      main: the program.
      define_flags: defines the flags that only a task of this config has.
      takes_arguments: whether there may be arguments that are no flags.
    """
    program.in_help(WORKDIR.name, STEP.name)
    started = _Program(main, define_flags)
    program.run(started.start, started.parse, takes_arguments)


class _Program:
    """A program on the way from its command line to its checkpoint."""

    def __init__(
        self,
        main: Callable[[Restored, Sequence[str]], None],
        define_flags: Callable[[config_dict.ConfigDict], None] | None,
    ):
        self._main = main
        self._define_flags = define_flags
        self._config: config_dict.ConfigDict | None = None
        self._loaded: tuple[Any, Any, pathlib.Path] | None = None

    def parse(self, argv: Sequence[str]) -> list[str]:
        """Parses all flags; the config's are those of the checkpoint."""
        writer.log_to_console()
        rest, self._config = parse_flags(argv, self._load)
        return rest

    def _load(self) -> config_dict.ConfigDict | None:
        if not WORKDIR.value:
            return None
        self._loaded = checkpoint.load_variables(WORKDIR.value, STEP.value)
        config = config_dict.ConfigDict(tuples(self._loaded[1]["config"]))
        if self._define_flags is not None:
            self._define_flags(config)
        return config

    def start(self, arguments: Sequence[str]) -> None:
        """Runs the program."""
        if self._config is None or self._loaded is None:
            raise app.UsageError("--workdir=DIR is missing: the folder of a run.")
        self._main(restore(self._config, *self._loaded), arguments)


def parse_flags(
    argv: Sequence[str], load_config: Callable[[], config_dict.ConfigDict | None]
) -> tuple[list[str], config_dict.ConfigDict | None]:
    """Parses flags in two passes: those of load_config, then those of what it returns.

    Args:
      argv: the command line.
      load_config: returns a config as the flags of the program say, such as --workdir,
        whose fields become flags; None where they name none.

    Returns:
      The other arguments, and the config with its overrides, None where there is none.
    """
    asks_help = [arg for arg in argv[1:] if arg.lstrip("-").startswith("help")]
    # Help is for the second pass, which knows all flags.
    rest = flags.FLAGS([a for a in argv if a not in asks_help], known_only=True)
    config = load_config() if flags.FLAGS.is_parsed() else None
    if config is None:
        return (flags.FLAGS(argv) if asks_help else rest), None
    verbosity = absl_logging.get_verbosity()  # a flag too, which program.run has set
    flags.FLAGS.unparse_flags()  # or repeated flags would have all values twice
    holder = config_flags.DEFINE_config_dict("config", config, sys_argv=list(argv))
    rest = flags.FLAGS(argv)
    absl_logging.set_verbosity(verbosity)
    return rest, holder.value


def load(path: str | pathlib.Path, step: int | str = "latest") -> Restored:
    """Returns the model of a workdir or checkpoint, with the config that it holds."""
    variables, about, folder = checkpoint.load_variables(path, step)
    config = config_dict.ConfigDict(tuples(about["config"]))
    return restore(config, variables, about, folder)


def restore(
    config: config_dict.ConfigDict,
    variables: Any,
    about: Mapping[str, Any],
    folder: pathlib.Path,
) -> Restored:
    """Places the variables of a checkpoint for the model of a config.

    Raises:
      ValueError: it is the model of another config.
    """
    _check_model(config, variables, folder)
    parallel = _make_parallel(config)
    placed = parallel.from_saved(Variables(**variables))
    return Restored(config, parallel, placed, about, folder)


def _make_parallel(
    config: config_dict.ConfigDict,
) -> sharding.OverMesh | sharding.OverPmap:
    """Returns where arrays live: as where they were trained, if these devices can."""
    try:
        return build.make_parallel(config)
    except ValueError as error:
        # A model of a pod is looked at on a laptop; the numbers are the same.
        logger.warning("%s Now replicated.", error)
        return sharding.make_parallel(config.compile)


def _check_model(
    config: config_dict.ConfigDict, variables: Any, folder: pathlib.Path
) -> None:
    """Raises ValueError unless a config's model has the arrays of a checkpoint."""
    try:
        model = build.make_model(config)
        forward = make_forward(model.forward, parse_policy(config.precision))
        params, model_state = jax.eval_shape(
            lambda batch: forward.init(jax.random.key(0), batch, True), model.batch(1)
        )
    except AttributeError as error:  # ml_collections' for a field that is not there
        raise ValueError(
            f"{folder} was made by another version of this code: its config has no "
            f"field {error.args[0]}."
        ) from error
    wanted = named_arrays.shapes_of({"params": params, "model_state": model_state})
    found = named_arrays.shapes_of(variables)
    named_arrays.check_same_arrays(found, wanted, str(folder))


def tuples(value: Any) -> Any:
    """JSON's lists as the tuples that configs have."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value
