"""Training and ahead-of-time compilation of a config, without flags."""

import functools
import json
import logging
import pathlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import config_dict

from experiments import build, checklist
from perceiver_jax.cluster import life, processes
from perceiver_jax.engine import (
    checkpoint,
    description,
    init_from,
    sharding,
    training,
    window,
)
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import Update

logger = logging.getLogger("perceiver_jax")

ROOT = pathlib.Path(__file__).parent.parent
CODE = ("perceiver_jax", "experiments", "configs")


def train(
    config: config_dict.ConfigDict,
    workdir: pathlib.Path,
    allow_changes: bool = False,
    profile_steps: tuple[int, int] | None = None,
) -> None:
    """Trains what the config says, in `workdir`.

    A workdir that has checkpoints is gone on with; allow_changes says whether it may be
    with another config. profile_steps are the first and the last step to trace.
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
    run = training.Run(workdir, plan.about, plan.donor, free, allow_changes)
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
        parallel = sharding.make_parallel(config.compile, config.shard_state)
        sharding.check_batch_size("batch_size", config.batch_size, config.accumulate)
        sharding.check_batch_size("eval_batch_size", config.eval_batch_size)
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


def compile_for(config: config_dict.ConfigDict, topology: str) -> str:
    """Compiles the training step for a TPU topology and describes its cost.

    The batch is the config's, over all chips; no data and no TPU is needed.
    """
    # Its private parts of jaxlib may be missing one day: then only this is.
    from perceiver_jax.engine import compile_ahead

    model = build.make_model(config)
    parallel = sharding.OverMesh(compile_ahead.tpu_mesh(topology), config.shard_state)
    chips = parallel.mesh.size
    sharding.check_batch_size("batch_size", config.batch_size, config.accumulate, chips)
    # The schedule's length is a constant of the program, which costs the same for any.
    update = build.make_update(config, model, config.steps or 100_000)
    batch = model.batch(config.batch_size)
    state = parallel.abstract_state(functools.partial(update.init, batch))
    start = time.monotonic()
    step = parallel.compile_update(update)
    compiled = step.lower(state, parallel.abstract_batch(batch)).compile()
    seconds = time.monotonic() - start
    return (
        f"{topology}: {chips} chips, {config.batch_size} examples a step, "
        f"{config.batch_size // chips} a chip\n"
        f"{compile_ahead.program_cost(compiled)}\n"
        f"compile time {seconds:.1f} s"
    )
