"""The one training loop. It knows no model, no dataset and no task by name."""

import dataclasses
import functools
import logging
import math
import pathlib
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import haiku as hk
import jax
import numpy as np
import optax
from jax.experimental import multihost_utils

from perceiver_jax.engine import checkpoint, evaluation, flops, init_from, sharding
from perceiver_jax.engine.metrics import Mean
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import TrainState, init, make_update
from perceiver_jax.engine.writer import Progress, Writer, show

logger = logging.getLogger(__name__)

# Steps that may be queued on the devices. More hides no more latency, and many queued
# collectives deadlock on virtual CPU devices.
MAX_IN_FLIGHT = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long, how often and from what seed to train."""

    total_steps: int
    batch_size: int  # global
    seed: int = 0
    accumulate: int = 1  # parts that a batch is processed in, one after the other
    log_every: int = 100
    eval_every: int = 1000  # each evaluation is followed by a checkpoint
    checkpoint_every: int = 1000
    keep_last: int = 1
    keep_best: int = 1


class NonFiniteError(FloatingPointError):
    """The loss or its gradient is not finite; names the step."""


def train(
    task: Task,
    forward: hk.TransformedWithState,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    parallel: sharding.OverMesh | sharding.OverPmap,
    settings: Settings,
    workdir: pathlib.Path,
    about: Mapping[str, Any],
    source: init_from.Source | None = None,
) -> None:
    """Trains to settings.total_steps, going on from WORKDIR's newest checkpoint.

    A run that was killed at any step and started again gives the same parameters,
    metrics and data order, to the bit, as one that never was, on the same devices.

    Args:
      task: what to train.
      forward: the task's forward pass, of forward.make_forward.
      optimizer: the gradient transformation.
      schedule: step -> learning rate, for the log.
      parallel: where arrays live, of sharding.make_parallel.
      settings: how long and how often.
      workdir: folder of checkpoints, metrics.jsonl and TensorBoard files.
      about: what checkpoints say of themselves, of checkpoint.describe.
      source: variables of another run to start from.

    Raises:
      ValueError: the workdir is of another task or model, or the batch doesn't split.
      NonFiniteError: the loss or gradient is not finite.
    """
    sharding.check_batch_size("batch_size", settings.batch_size, settings.accumulate)
    checkpoints = checkpoint.Checkpoints(
        workdir, settings.keep_last, settings.keep_best, task.best_metric
    )
    first_step = checkpoints.latest_step() or 0
    if first_step:
        saved = checkpoints.about(first_step)
        checkpoint.check_task(saved, about["task"], str(workdir))
        checkpoint.check_vocabulary(saved, task.vocabulary, str(workdir))
    if first_step >= settings.total_steps:
        logger.info("Nothing to train: %s is at step %d.", workdir, first_step)
        return
    data = iter(task.train_data(first_step))
    batch = next(data)
    update = make_update(
        task, forward, optimizer, schedule, settings.seed, settings.accumulate
    )
    make_state = functools.partial(init, forward, optimizer, settings.seed, batch)
    state, window = _starting_state(make_state, parallel, checkpoints, about, source)
    step_fn = parallel.compile_update(update)
    _log_size(jax.eval_shape(make_state).params)
    count = flops.count_flops(step_fn, state, parallel.place_batch(batch))
    logger.info("%.4g GFLOP a step, over all devices", count / 1e9)
    writer = Writer(workdir, first_step, active=jax.process_index() == 0)
    evaluate = _make_evaluation(task, forward, parallel, writer)
    progress = Progress(
        first_step, settings.total_steps, settings.batch_size, task.num_train_examples()
    )
    must_stop = _preemption_notice()

    def save(found=None):
        window.check()  # so that a state that is not finite is never kept
        variables, rest = _split_state(parallel.to_save(state))
        now = {**about, "window": window.totals}
        checkpoints.save(step, variables, rest, now, found)

    try:
        for step in range(first_step + 1, settings.total_steps + 1):
            state, sums = step_fn(state, parallel.place_batch(batch))
            window.add(step, sums)
            is_last = step == settings.total_steps
            if not is_last:
                batch = progress.wait_for(data)
            if step % settings.log_every == 0 or is_last:
                values = window.close()
                rates = progress.report(step, values)
                row = {f"train/{name}": value for name, value in values.items()}
                writer.scalars(step, row | rates)
            if step % settings.eval_every == 0 or is_last:
                window.check()
                save(evaluate(step, state))
                progress.restart(step)
            elif step % settings.checkpoint_every == 0:
                save()
            if must_stop(step):
                save()
                logger.info("Asked to stop: saved step %d.", step)
                break
    finally:
        checkpoints.close()
        writer.close()


def _starting_state(
    make_state: Callable[[], TrainState],
    parallel: sharding.OverMesh | sharding.OverPmap,
    checkpoints: checkpoint.Checkpoints,
    about: Mapping[str, Any],
    source: init_from.Source | None,
) -> tuple[TrainState, "Window"]:
    """Decides how training starts. In this order:

    1. The workdir has a checkpoint: resume it, exactly.
    2. `source` was given (init_from): its arrays, where names match; step 0.
    3. Neither: initialise from the seed.
    """
    step = checkpoints.latest_step()
    if step is not None:
        variables, rest = _split_state(parallel.abstract_state(make_state))
        items = checkpoints.restore(step, variables=variables, optimizer=rest)
        state = TrainState(**items["variables"], **items["optimizer"])
        logger.info("Resumed step %d of %s.", step, checkpoints.directory)
        return parallel.from_saved(state), Window(checkpoints.about(step)["window"])
    state = parallel.initialize(make_state)
    if source is None:
        logger.info("Initialised from the seed.")
        return state, Window()
    variables, rest = _split_state(parallel.to_save(state))
    state = TrainState(**source.load_into(**variables), **rest)
    return parallel.from_saved(state), Window()


def _make_evaluation(
    task: Task,
    forward: hk.TransformedWithState,
    parallel: sharding.OverMesh | sharding.OverPmap,
    writer: Writer,
) -> Callable[[int, TrainState], dict[str, float]]:
    """Returns a function that evaluates a state, reports, and returns the metrics."""
    evaluate = evaluation.make_evaluate(task, forward, parallel)
    sample = evaluation.make_samples(task, forward, parallel)

    def run(step, state):
        variables = evaluation.Variables(state.params, state.model_state)
        found = evaluate(variables).metrics
        logger.info("evaluated step %d  %s", step, show(found))
        writer.scalars(step, found)
        pictures, texts = sample(variables)
        writer.pictures(step, pictures)
        writer.texts(step, texts)
        return found

    return run


def _split_state(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parts what a model is from what only training needs."""
    variables = {"params": state.params, "model_state": state.model_state}
    return variables, {"step": state.step, "opt_state": state.opt_state}


class Window:
    """The metrics since the last log, part on the devices and part on the host."""

    def __init__(self, totals: Mapping[str, list[float]] | None = None):
        """Starts empty, or from a checkpoint's totals."""
        self._mean = Mean(totals)
        self._pending: list[tuple[int, Any]] = []

    @property
    def totals(self) -> dict[str, list[float]]:
        """The sums so far, without those still on the devices."""
        return self._mean.totals

    def add(self, step: int, sums: Any) -> None:
        """Adds a step's sums, without waiting for them."""
        self._pending.append((step, sums))
        if len(self._pending) > MAX_IN_FLIGHT:
            jax.block_until_ready(self._pending[-MAX_IN_FLIGHT])

    def check(self) -> None:
        """Fetches what is pending; raises NonFiniteError at a step that went wrong."""
        pending, self._pending = self._pending, []
        for step, sums in jax.device_get(pending):
            for name in ("loss", "grad_norm"):
                if not np.isfinite(sums[name]).all():
                    raise NonFiniteError(
                        f"{name} is {sums[name][0] / sums[name][1]} at step {step}; "
                        f"means before it: {show(self._mean.result())}. The newest "
                        "checkpoint is from before; try a lower learning rate, "
                        "clip_norm, or precision with compute=float32."
                    )
            self._mean.add(sums)

    def close(self) -> dict[str, float]:
        """Returns the means over the window and starts a new one."""
        self.check()
        values = self._mean.result()
        self._mean = Mean()
        return values


def _log_size(params: hk.Params) -> None:
    """Logs the table of parameters."""
    width = max(map(len, params))
    for module, arrays in params.items():
        shapes = "  ".join(f"{k} {list(x.shape)}" for k, x in arrays.items())
        size = sum(math.prod(x.shape) for x in arrays.values())
        logger.info("%-*s %12s  %s", width, module, f"{size:,}", shapes)
    total = sum(math.prod(x.shape) for x in jax.tree.leaves(params))
    logger.info("%-*s %12s", width, "parameters", f"{total:,}")


def _preemption_notice() -> Callable[[int], bool]:
    """Returns step -> whether the machine is about to be taken away."""
    if jax.process_count() > 1:
        # All processes must agree on the step: JAX's preemption service sees to it.
        return multihost_utils.reached_preemption_sync_point
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return lambda step: stop.is_set()
