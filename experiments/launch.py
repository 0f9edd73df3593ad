"""Training and ahead-of-time compilation of a config, without flags."""

import functools
import json
import pathlib
import time

import jax
from ml_collections import config_dict

from experiments import build
from perceiver_jax.engine import (
    checkpoint,
    compile_ahead,
    init_from,
    sharding,
    training,
    update,
)
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.model import parameters


def train(config: config_dict.ConfigDict, workdir: pathlib.Path) -> None:
    """Trains what the config says, in `workdir`."""
    parallel = sharding.make_parallel(config.compile, config.shard_state)
    sharding.check_batch_size("batch_size", config.batch_size, config.accumulate)
    sharding.check_batch_size("eval_batch_size", config.eval_batch_size)
    policy = parse_policy(config.precision)
    task = build.make_task(config)
    settings = build.make_settings(config, task.num_train_examples())
    described = parameters.describe(task.forward, next(iter(task.train_data(0))))
    optimizer, schedule = build.make_optimizer(config, settings.total_steps, described)
    source, parent = None, ""
    if config.init_from:
        variables, saved, folder = checkpoint.load_variables(config.init_from)
        checkpoint.check_vocabulary(saved, task.vocabulary, str(folder))
        source = init_from.Source(str(folder), variables, config.init_skip)
        parent = str(folder)
    about = checkpoint.describe(
        *(task.name, task.best_metric, json.loads(config.to_json())),
        *(parent, task.vocabulary, task.class_names),
    )
    workdir.mkdir(parents=True, exist_ok=True)
    training.train(
        task,
        make_forward(task.forward, policy),
        optimizer,
        schedule,
        parallel,
        settings,
        workdir,
        about,
        source,
    )


def compile_for(config: config_dict.ConfigDict, topology: str) -> str:
    """Compiles the training step for a TPU topology and describes its cost.

    The batch is the config's, over all chips; no data and no TPU is needed.
    """
    parallel = sharding.OverMesh(compile_ahead.tpu_mesh(topology), config.shard_state)
    chips = parallel.mesh.size
    small = config_dict.ConfigDict(config)
    # Only shapes are looked at; pairs both ways need an even batch.
    small.data.source, small.batch_size = "synthetic", 2 * chips
    if "num_workers" in small.data:
        small.data.num_workers = 0
    task = build.make_task(small)
    example = next(iter(task.train_data(0)))
    batch = {
        name: jax.ShapeDtypeStruct((config.batch_size, *x.shape[1:]), x.dtype)
        for name, x in example.items()
    }
    forward = make_forward(task.forward, parse_policy(config.precision))
    optimizer, schedule = build.make_optimizer(
        config,
        build.total_steps(config, task.num_train_examples()),
        parameters.describe(task.forward, batch),
    )
    step = update.make_update(
        task, forward, optimizer, schedule, config.seed, config.accumulate
    )
    state = parallel.abstract_state(
        functools.partial(update.init, forward, optimizer, config.seed, batch)
    )
    start = time.monotonic()
    lowered = parallel.compile_update(step).lower(state, parallel.abstract_batch(batch))
    compiled = lowered.compile()
    seconds = time.monotonic() - start
    return (
        f"{topology}: {chips} chips, {config.batch_size} examples a step, "
        f"{config.batch_size // chips} a chip\n"
        f"{_describe(compile_ahead.program_cost(compiled))}\n"
        f"compile time {seconds:.1f} s"
    )


def _describe(program: compile_ahead.ProgramCost) -> str:
    """Renders the cost of a program on one chip."""
    return (
        f"{program.flops / 1e9:,.0f} GFLOP\n"
        f"{program.bytes_accessed / 1e9:,.2f} GB accessed\n"
        f"{program.argument_bytes / 1e9:,.3f} GB arguments, in place\n"
        f"{program.temp_bytes / 1e9:,.3f} GB temporaries\n"
        f"{program.total_bytes / 1e9:,.3f} GB in all"
    )
