"""The one training loop. It knows no model, no dataset and no task by name."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from perceiver_jax.engine import (
    checkpoint,
    description,
    evaluation,
    flops,
    init_from,
    sharding,
)
from perceiver_jax.engine.metrics import Mean
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import TrainState, Update
from perceiver_jax.engine.writer import Progress, Writer, show

logger = logging.getLogger(__name__)

# Steps that may be queued on the devices. More hides no more latency, and many queued
# collectives deadlock on virtual CPU devices.
MAX_IN_FLIGHT = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long and how often."""

    total_steps: int
    batch_size: int  # global
    log_every: int = 100
    eval_every: int = 1000  # each evaluation comes after a checkpoint
    checkpoint_every: int = 1000
    keep_last: int = 2
    keep_best: int = 1


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a run is kept, and what it is.

    Attributes:
      workdir: folder of checkpoints, metrics.jsonl and TensorBoard files.
      about: what its checkpoints say of themselves, of description.describe.
      donor: variables of another run to start from.
      free: fields of the config that may differ when the run goes on, since they
        change none of its numbers.
      allow_changes: whether all others may differ too.
    """

    workdir: pathlib.Path
    about: Mapping[str, Any]
    donor: init_from.Donor | None = None
    free: Collection[str] = ()
    allow_changes: bool = False


class NonFiniteError(FloatingPointError):
    """The loss or its gradient is not finite; names the step."""


def train(
    task: Task,
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    settings: Settings,
    run: Run,
) -> None:
    """Trains to settings.total_steps, going on from the workdir's newest checkpoint.

    A run that was killed at any step and started again gives the same parameters,
    metrics and data order, to the bit, as one that never was, on the same devices.

    Args:
      task: what to train.
      update: what a step does.
      parallel: where arrays live, of sharding.make_parallel.
      settings: how long and how often.
      run: where it is kept, and what it starts from.

    Raises:
      ValueError: the workdir is of another task, model or config, or the batch doesn't
        split.
      NonFiniteError: the loss or gradient is not finite.
    """
    sharding.check_batch_size("batch_size", settings.batch_size, update.accumulate)
    checkpoints = checkpoint.Checkpoints(
        run.workdir, settings.keep_last, settings.keep_best
    )
    with contextlib.closing(checkpoints):
        first_step = checkpoints.step_to_resume() or 0
        if first_step:
            _check_resumed(checkpoints.about(first_step), task, run)
        is_done = first_step >= settings.total_steps
        # A run may have been stopped between a checkpoint and its evaluation.
        is_evaluated = not (
            first_step
            and (is_done or first_step % settings.eval_every == 0)
            and not checkpoints.metrics(first_step)
        )
        if is_done and is_evaluated:
            logger.info("Nothing to train: %s is at step %d.", run.workdir, first_step)
            return
        # Before the writer drops rows: where this fails, nothing is changed.
        make_state = functools.partial(update.init, task.model.batch(1))
        state, window = _starting_state(make_state, parallel, checkpoints, run)
        is_main = jax.process_index() == 0
        with Writer(run.workdir, first_step, is_evaluated, is_main) as writer:
            writer.parameters(jax.eval_shape(make_state).params)
            evaluator = evaluation.Evaluator(task, update.forward, parallel)
            keeper = _Keeper(evaluator, parallel, checkpoints, writer, window, run)
            if not is_evaluated:
                keeper.evaluate(first_step, state)
            if not is_done:
                _loop(task, update, settings, keeper, first_step, state)


def _loop(
    task: Task,
    update: Update,
    settings: Settings,
    keeper: "_Keeper",
    first_step: int,
    state: TrainState,
) -> None:
    """Takes the steps that are left, or those until the machine is taken away."""
    logger.info("Waiting for the first batch, of %d examples.", settings.batch_size)
    data = task.train.batches(first_step, settings.total_steps)
    batch = next(data)
    parallel, window = keeper.parallel, keeper.window
    step_fn = parallel.compile_update(update)
    count = flops.count_flops(step_fn, state, parallel.place_batch(batch))
    logger.info("%.4g GFLOP a step, over all devices", count / 1e9)
    progress = Progress(
        first_step, settings.total_steps, settings.batch_size, task.train.num_examples
    )
    must_stop = _preemption_notice()
    for step in range(first_step + 1, settings.total_steps + 1):
        state, sums = step_fn(state, parallel.place_batch(batch))
        window.add(step, sums)
        is_last = step == settings.total_steps
        if not is_last:
            batch = progress.wait_for(data)
        if step % settings.log_every == 0 or is_last:
            values = window.close(keeper.checkpoints.latest_step())
            rates = progress.report(step, values)
            row = {f"train/{name}": value for name, value in values.items()}
            keeper.writer.scalars(step, row | rates)
        evaluates = step % settings.eval_every == 0 or is_last
        stops = must_stop(step)
        keeper.checkpoints.check()
        if evaluates or stops or step % settings.checkpoint_every == 0:
            keeper.save(step, state)
        if stops:
            logger.info("Asked to stop: saved step %d.", step)
            break
        if evaluates:
            keeper.evaluate(step, state)
            progress.restart(step)


def _check_resumed(saved: Mapping[str, Any], task: Task, run: Run) -> None:
    """Raises ValueError unless a run may go on from a checkpoint that says `saved`."""
    description.check_task(saved, task.name, str(run.workdir))
    description.check_identity(saved, task.identity, str(run.workdir))
    changed = description.changes(saved["config"], run.about["config"])
    told = {
        field: f"  {field}: {then!r} in the checkpoint, {now!r} here"
        for field, (then, now) in changed.items()
    }
    fixed = [line for field, line in told.items() if field not in run.free]
    if fixed and not run.allow_changes:
        raise ValueError(
            f"{run.workdir} was begun with another config. Train in a new --workdir, "
            "or go on all the same with --allow_changes: the run is then of two "
            "configs.\n" + "\n".join(fixed)
        )
    if told:
        logger.info("Going on with another config:\n%s", "\n".join(told.values()))


def _starting_state(
    make_state: Callable[[], TrainState],
    parallel: sharding.OverMesh | sharding.OverPmap,
    checkpoints: checkpoint.Checkpoints,
    run: Run,
) -> tuple[TrainState, "Window"]:
    """Decides how training starts. In this order:

    1. The workdir has a checkpoint: resume it, exactly.
    2. The run has a donor (init_from): its arrays, where names match; step 0.
    3. Neither: initialise from the seed.
    """
    step = checkpoints.step_to_resume()
    if step is not None:
        variables, rest = _split_state(parallel.abstract_state(make_state))
        items = checkpoints.restore(step, variables=variables, optimizer=rest)
        state = TrainState(**items["variables"], **items["optimizer"])
        logger.info("Resumed step %d of %s.", step, checkpoints.directory)
        return parallel.from_saved(state), Window(checkpoints.about(step)["window"])
    state = parallel.initialize(make_state)
    if run.donor is None:
        logger.info("Initialised from the seed.")
        return state, Window()
    variables, rest = _split_state(parallel.to_save(state))
    state = TrainState(**run.donor.load_into(**variables), **rest)
    return parallel.from_saved(state), Window()


class _Keeper(NamedTuple):
    """Saves and evaluates the state of a run."""

    evaluator: evaluation.Evaluator
    parallel: sharding.OverMesh | sharding.OverPmap
    checkpoints: checkpoint.Checkpoints
    writer: Writer
    window: "Window"
    run: Run

    def save(self, step: int, state: TrainState) -> None:
        """Starts to write a checkpoint, never of a state that is not finite."""
        self.window.check(self.checkpoints.latest_step())
        variables, rest = _split_state(self.parallel.to_save(state))
        about = {**self.run.about, "window": self.window.totals}
        self.checkpoints.save(step, variables, rest, about)

    def evaluate(self, step: int, state: TrainState) -> None:
        """Evaluates a state that was saved, and adds the numbers to its checkpoint."""
        variables = evaluation.Variables(state.params, state.model_state)
        found = self.evaluator(variables).metrics
        logger.info("evaluated step %d  %s", step, show(found))
        self.writer.scalars(step, found)
        pictures, texts = self.evaluator.samples(variables)
        self.writer.pictures(step, pictures)
        self.writer.texts(step, texts)
        # Last: what has no numbers in its checkpoint is evaluated again after a crash.
        self.checkpoints.add_metrics(step, found)


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

    def check(self, saved: int | None) -> None:
        """Fetches what is pending.

        Args:
          saved: step of the newest checkpoint, for the error.

        Raises:
          NonFiniteError: a step went wrong.
        """
        pending, self._pending = self._pending, []
        for step, sums in jax.device_get(pending):
            for name in ("loss", "grad_norm"):
                if not np.isfinite(sums[name]).all():
                    newest = "There is no checkpoint yet"
                    if saved is not None:
                        newest = f"The newest checkpoint is that of step {saved}"
                    raise NonFiniteError(
                        f"{name} is {sums[name][0] / sums[name][1]} at step {step}; "
                        f"means before it: {show(self._mean.result()) or 'none'}. "
                        f"{newest}. Try a lower learning rate, clip_norm, or "
                        "precision with compute=float32."
                    )
            self._mean.add(sums)

    def close(self, saved: int | None) -> dict[str, float]:
        """Returns the means over the window and starts a new one; as `check`."""
        self.check(saved)
        values = self._mean.result()
        self._mean = Mean()
        return values


def _preemption_notice() -> Callable[[int], bool]:
    """Returns step -> whether the machine is about to be taken away."""
    if jax.process_count() > 1:
        # All processes must agree on the step: JAX's preemption service sees to it.
        return multihost_utils.reached_preemption_sync_point
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return lambda step: stop.is_set()
