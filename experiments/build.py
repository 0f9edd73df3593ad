"""From a config to the engine's objects: the only place that unpacks it for them."""

import dataclasses
import importlib
import importlib.util

import optax
from ml_collections import config_dict

from experiments import predicting as predictors
from experiments.checks import check_known
from perceiver_jax.engine import optimizer as optimizers
from perceiver_jax.engine import training
from perceiver_jax.engine.task import Task
from perceiver_jax.model import parameters


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task of experiments/<config.task>/task.py."""
    name = f"experiments.{config.task}.task"
    if not config.task or importlib.util.find_spec(name) is None:
        raise ValueError(f"task='{config.task}': there is no {name}.")
    return importlib.import_module(name).make_task(config)


def make_predictor(
    config: config_dict.ConfigDict, options: predictors.Options | None = None
) -> predictors.Predictor:
    """Builds the predictor of experiments/<config.task>/predict.py."""
    name = f"experiments.{config.task}.predict"
    if not config.task or importlib.util.find_spec(name) is None:
        raise ValueError(f"task='{config.task}' has no predictions: no {name}.")
    module = importlib.import_module(name)
    nothing_asked = predictors.Options()
    options = options or nothing_asked
    for field in dataclasses.fields(options):
        value, default = (getattr(x, field.name) for x in (options, nothing_asked))
        if value != default and field.name not in module.OPTIONS:
            raise ValueError(
                f"--{field.name}={value} means nothing to task '{config.task}', which "
                f"knows {', '.join(module.OPTIONS) or 'no such flag'}."
            )
    return module.make_predictor(config, options)


def total_steps(config: config_dict.ConfigDict, num_train_examples: int) -> int:
    """Returns `steps`, or `epochs` in steps; exactly one of the two is set."""
    if (config.steps > 0) == (config.epochs > 0):
        raise ValueError(
            f"Set one of steps={config.steps} and epochs={config.epochs} to a positive "
            "number and the other to 0."
        )
    return config.steps or max(
        1, round(config.epochs * num_train_examples / config.batch_size)
    )


def make_settings(
    config: config_dict.ConfigDict, num_train_examples: int
) -> training.Settings:
    """Returns how long and how often, from the config."""
    return training.Settings(
        total_steps=total_steps(config, num_train_examples),
        batch_size=config.batch_size,
        seed=config.seed,
        accumulate=config.accumulate,
        log_every=config.log_every,
        eval_every=config.eval_every,
        checkpoint_every=config.checkpoint_every,
        keep_last=config.keep_last,
        keep_best=config.keep_best,
    )


def make_optimizer(
    config: config_dict.ConfigDict, total_steps: int, described: parameters.Parameters
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Returns the optimizer of config.optimizer, and its schedule.

    `described` says what each parameter of the model is.
    """
    options = config.optimizer
    for field, word, known in (
        ("schedule", options.schedule, optimizers.SCHEDULES),
        ("name", options.name, optimizers.OPTIMIZERS),
    ):
        check_known(f"optimizer.{field}", word, known)
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
