"""A step of a run, reached again and taken apart: what experiments.replay shows."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import config_dict

from experiments import launch
from perceiver_jax.engine import evaluation, findings, replay, sharding, starting
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.task import Batch, Evaluation, Task
from perceiver_jax.engine.update import TrainState, Update
from perceiver_jax.model import parameters

logger = logging.getLogger("perceiver_jax")


class Replayed(NamedTuple):
    """A step that was taken apart.

    Attributes:
      step: which update, counted from 1.
      start: the checkpoint that it was reached from; 0 where it was the run's start.
      found: what the step is made of.
      samples: pictures and texts of its worst examples.
    """

    step: int
    start: int
    found: findings.Found
    samples: evaluation.Samples


def look_at(
    config: config_dict.ConfigDict, workdir: pathlib.Path, step: int
) -> Replayed:
    """Takes a step of a run apart.

    Raises:
      ValueError: the run has no such step, or one before it is not finite already.
    """
    saved = checkpoint.Checkpoints(workdir, read_only=True)
    with contextlib.closing(saved):
        start = max((s for s in saved.steps() if s < step), default=None)
        if start is not None:  # then it is not needed, and may be gone
            config = config.copy_and_resolve_references()
            config.init_from = ""
        plan = launch.Plan.of(config)
        total_steps = plan.settings.total_steps
        if not 1 <= step <= total_steps:
            raise ValueError(
                f"--step={step} is no step of this run, which has 1 to {total_steps}."
            )
        task, update, parallel = plan.task, plan.update, plan.parallel
        make_state = functools.partial(update.init, task.model.batch(1))
        run = starting.Run(workdir, plan.about, plan.donor)
        state, _ = starting.starting_state(make_state, parallel, saved, run, start)
    first = start or 0
    batches = task.train.batches(first, total_steps)
    state = _train(state, batches, update, parallel, range(first + 1, step))
    batch = next(batches)
    names = task.train.names(step - 1, total_steps)
    described = parameters.describe(task.model.forward, task.model.batch(1))
    axes = parameters.layer_axes(described)
    found, state = replay.look(update, parallel, axes, state, batch, names)
    variables = evaluation.Variables(state.params, state.model_state)
    worst = _worst(batch, [example.row for example in found.examples])
    shown = evaluation.Evaluator(_on_batch(task, worst), update.forward, parallel)
    return Replayed(step, first, found, shown.samples(variables))


def _train(
    state: TrainState,
    batches: Iterator[Batch],
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    steps: range,
) -> TrainState:
    """Takes steps again."""
    if not steps:
        return state
    logger.info("Taking steps %d to %d again.", steps[0], steps[-1])
    step_fn = parallel.compile_update(update)
    for step in steps:
        state, sums = step_fn(state, parallel.place_batch(next(batches)))
        sums = jax.device_get({name: sums[name] for name in ("loss", "grad_norm")})
        if not np.isfinite(list(sums.values())).all():
            raise ValueError(
                f"Step {step} is not finite already: look at that one, --step={step}."
            )
    return state


def _worst(batch: Batch, rows: Sequence[int]) -> Batch:
    """Returns this process's part of a few rows, as many as split over all devices."""
    devices = jax.device_count()
    count = -(-evaluation.MAX_SHOWN // devices) * devices
    mine = np.array_split(rows[:count], jax.process_count())[jax.process_index()]
    return jax.tree.map(lambda x: np.asarray(x)[mine], replay.whole_batch(batch))


def _on_batch(task: Task, batch: Batch) -> Task:
    """Returns the task with one batch as all that there is to look at."""
    sets: list[Evaluation] = []
    for found in task.evaluations.values():
        shows = Evaluation(lambda: [batch], None, None, found.pictures, found.texts)
        if all((e.pictures, e.texts) != (shows.pictures, shows.texts) for e in sets):
            sets.append(shows)
    named = {f"batch_{number}": shows for number, shows in enumerate(sets)}
    return dataclasses.replace(task, evaluations=named)
