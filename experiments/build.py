"""From a config to the engine's objects: the only place that unpacks it for them."""

import importlib
import importlib.util
import pkgutil
import types
from collections.abc import Collection, Sequence
from typing import Any

import jax
import optax
from ml_collections import config_dict

import experiments
from experiments import checks
from experiments.predicting import Predictor
from perceiver_jax.engine import optimizer as optimizers
from perceiver_jax.engine import sharding, training
from perceiver_jax.engine.costs import flops
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Identity, Model, Task
from perceiver_jax.engine.update import Update
from perceiver_jax.model import parameters

# Fields that change none of a run's numbers, or only the last bits of them: a run may
# go on with others.
FREE = (
    "eval_batch_size",
    "compile",
    "sharding",
    "sharding_devices",
    "log_every",
    "eval_every",
    "checkpoint_every",
    "keep_last",
    "keep_best",
    "heartbeat_limit",
    "stall_limit",
    "init_from",
    "init_skip",
)


def tasks() -> list[str]:
    """Returns the names of all tasks: the folders of experiments."""
    return [m.name for m in pkgutil.iter_modules(experiments.__path__) if m.ispkg]


def find(config: config_dict.ConfigDict, part: str) -> types.ModuleType:
    """Returns the module experiments/<config.task>/<part>.py.

    Raises:
      ValueError: there is no such task, or it has no such part.
    """
    package = f"experiments.{config.task}"
    checks.check_known("task", config.task, tasks())
    if importlib.util.find_spec(f"{package}.{part}") is None:
        raise ValueError(f"task='{config.task}' has no {part}: no {package}.{part}.")
    return importlib.import_module(f"{package}.{part}")


def check(config: config_dict.ConfigDict) -> None:
    """Raises ValueError naming the fields of a config that have no allowed value."""
    checks.check(config, {**checks.RANGES, **find(config, "fields").RANGES})
    parse_policy(config.precision)


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model that a config describes; needs no data."""
    check(config)
    return find(config, "model").make_model(config)


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task that a config describes, with its data."""
    check(config)
    return find(config, "task").make_task(config)


def make_predictor(
    config: config_dict.ConfigDict, identity: Identity, **options: Any
) -> Predictor:
    """Builds what predicts with a config's model.

    Args:
      config: of the model.
      identity: what its inputs and outputs stand for, as its checkpoint has it.
      **options: the predictor's own flags.
    """
    check(config)
    return find(config, "predict").Predictor(config, identity, **options)


def model_size(config: config_dict.ConfigDict) -> flops.Size:
    """Returns a config's number of parameters, and the FLOPs of one example."""
    return flops.model_size(make_model(config))


def total_steps(config: config_dict.ConfigDict, num_examples: int) -> int:
    """Returns `steps`, or `epochs` in steps; exactly one of the two is set."""
    if (config.steps > 0) == (config.epochs > 0):
        raise ValueError(
            f"Set one of steps={config.steps} and epochs={config.epochs} to a positive "
            "number and the other to 0."
        )
    return config.steps or max(
        1, round(config.epochs * num_examples / config.batch_size)
    )


def choose_length(config: config_dict.ConfigDict, overrides: Collection[str]) -> None:
    """Sets the other one of `steps` and `epochs` to 0 where one was asked for."""
    asked = {"steps", "epochs"} & set(overrides)
    if asked == {"steps"} and config.steps:
        config.epochs = 0.0
    if asked == {"epochs"} and config.epochs:
        config.steps = 0


def make_settings(
    config: config_dict.ConfigDict,
    num_examples: int,
    profile_steps: tuple[int, int] | None = None,
) -> training.Settings:
    """Returns how long and how often, from the config."""
    return training.Settings(
        total_steps=total_steps(config, num_examples),
        batch_size=config.batch_size,
        log_every=config.log_every,
        eval_every=config.eval_every,
        checkpoint_every=config.checkpoint_every,
        keep_last=config.keep_last,
        keep_best=config.keep_best,
        profile_steps=profile_steps,
    )


def make_update(
    config: config_dict.ConfigDict, model: Model, total_steps: int
) -> Update:
    """Returns what a step of training does, in a training of so many steps."""
    described = parameters.describe(model.forward, model.batch(1))
    optimizer, schedule = make_optimizer(config, total_steps, described)
    return Update(
        forward=make_forward(model.forward, parse_policy(config.precision)),
        metrics=model.metrics,
        optimizer=optimizer,
        schedule=schedule,
        seed=config.seed,
        accumulate=config.accumulate,
    )


def make_parallel(
    config: config_dict.ConfigDict, devices: Sequence[jax.Device] | None = None
) -> sharding.OverMesh | sharding.OverPmap:
    """Returns where a config's arrays live: on all devices, or on these.

    Raises:
      ValueError: they can't be shared as the config says.
    """
    splits = None
    if config.sharding == "tensor":
        model = make_model(config)
        splits = parameters.splits(parameters.describe(model.forward, model.batch(1)))
    return sharding.make_parallel(
        config.compile, config.sharding, config.sharding_devices, splits, devices
    )


def make_optimizer(
    config: config_dict.ConfigDict, total_steps: int, described: parameters.Parameters
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Returns the optimizer of config.optimizer, and its schedule.

    `described` says what each parameter of the model is.
    """
    options = config.optimizer
    shape = {
        "constant": {},
        "flat_cosine": {"flat_fraction": options.flat_fraction},
        "warmup_cosine": {"warmup_steps": options.warmup_steps},
        "step_decay": {"fractions": tuple(options.decay_fractions)},
    }[options.schedule]
    peak = optimizers.scale_learning_rate(
        options.learning_rate, config.batch_size, options.reference_batch_size
    )
    schedule = optimizers.SCHEDULES[options.schedule](peak, total_steps, **shape)
    optimizer = optimizers.OPTIMIZERS[options.name](
        schedule,
        parameters.decays(described, options.decay_positions),
        parameters.layer_axes(described),
        weight_decay=options.weight_decay,
        clip_norm=options.clip_norm,
        b1=options.b1,
        b2=options.b2,
        eps=options.eps,
    )
    return optimizer, schedule
