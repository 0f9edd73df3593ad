"""Training and ahead-of-time compilation of a config, without flags."""

import functools
import json
import logging
import pathlib
import time

from ml_collections import config_dict

from experiments import build
from perceiver_jax.engine import checkpoint, description, init_from, sharding, training

logger = logging.getLogger("perceiver_jax")


def train(
    config: config_dict.ConfigDict, workdir: pathlib.Path, allow_changes: bool = False
) -> None:
    """Trains what the config says, in `workdir`.

    A workdir that has checkpoints is gone on with; allow_changes says whether it may be
    with another config.
    """
    if str(workdir).partition("/")[0].endswith(":"):  # it would be a folder "gs:"
        raise ValueError(
            f"--workdir={workdir} is no folder of this machine: mount the bucket, and "
            "name the folder where it is mounted."
        )
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: name a folder.")
    build.check(config)
    parallel = build.make_parallel(config)
    for field, parts in (("batch_size", config.accumulate), ("eval_batch_size", 1)):
        sharding.check_batch_size(field, config[field], parts, parallel)
    task = build.make_task(config)
    num_examples = task.train.num_examples
    if config.batch_size > num_examples:
        logger.warning(
            "batch_size=%d is more than the %d examples that there are: a batch holds "
            "each about %.3g times.",
            *(config.batch_size, num_examples, config.batch_size / num_examples),
        )
    settings = build.make_settings(config, num_examples)
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
    workdir.mkdir(parents=True, exist_ok=True)
    free = (*build.FREE, *build.find(config, "fields").FREE)
    run = training.Run(workdir, about, donor, free, allow_changes)
    training.train(task, update, parallel, settings, run)


def compile_for(config: config_dict.ConfigDict, topology: str) -> str:
    """Compiles the training step for a TPU topology and describes its cost.

    The batch is the config's, over all chips; no data and no TPU is needed.
    """
    # Its private parts of jaxlib may be missing one day: then only this is.
    from perceiver_jax.engine import compile_ahead

    model = build.make_model(config)
    mesh = compile_ahead.tpu_mesh(topology)
    parallel = build.make_parallel(config, mesh.devices.flatten().tolist())
    if not isinstance(parallel, sharding.OverMesh):
        raise ValueError("compile='pmap' can't be compiled for elsewhere: use 'jit'.")
    sharding.check_batch_size(
        "batch_size", config.batch_size, config.accumulate, parallel
    )
    # The schedule's length is a constant of the program, which costs the same for any.
    update = build.make_update(config, model, config.steps or 100_000)
    batch = model.batch(config.batch_size)
    state = parallel.abstract_state(functools.partial(update.init, batch))
    start = time.monotonic()
    step = parallel.compile_update(update)
    compiled = step.lower(state, parallel.abstract_batch(batch)).compile()
    seconds = time.monotonic() - start
    return (
        f"{topology}: {mesh.size} chips, {config.batch_size} examples a step, "
        f"{config.batch_size / mesh.size:g} a chip\n"
        f"{compile_ahead.program_cost(compiled)}\n"
        f"compile time {seconds:.1f} s"
    )
