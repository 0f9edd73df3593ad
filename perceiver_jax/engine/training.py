"""The one training loop. It knows no model, no dataset and no task by name."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

import jax

from perceiver_jax.cluster import phases, processes
from perceiver_jax.cluster.life import Life
from perceiver_jax.cluster.signals import Stopped
from perceiver_jax.engine import sharding
from perceiver_jax.engine.checkpoints import checkpoint, description
from perceiver_jax.engine.costs import flops
from perceiver_jax.engine.evaluation import Evaluator
from perceiver_jax.engine.feed import Feed
from perceiver_jax.engine.goodput import Goodput
from perceiver_jax.engine.keeper import Keeper
from perceiver_jax.engine.progress import Progress
from perceiver_jax.engine.starting import Run, check_resumed, starting_state
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import TrainState, Update
from perceiver_jax.engine.writer import Writer

logger = logging.getLogger(__name__)


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
    profile_steps: tuple[int, int] | None = None  # the first and last one to trace


def train(
    task: Task,
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    settings: Settings,
    run: Run,
    life: Life,
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
      life: of this process, as life.join gave it.

    Raises:
      ValueError: the workdir is of another task, model or config.
      NonFiniteError: the loss or gradient is not finite.
      Stopped: the run was asked to stop; all its steps are saved.
    """
    checkpoints = checkpoint.Checkpoints(
        run.workdir, settings.keep_last, settings.keep_best
    )
    with contextlib.closing(life), contextlib.closing(checkpoints):
        step = checkpoints.step_to_resume(run.resume_from)
        first_step = step or 0
        life.step, life.total_steps = first_step, settings.total_steps
        if first_step:
            check_resumed(checkpoints.about(first_step), task, run)
        is_done = first_step >= settings.total_steps
        is_evaluated = _is_evaluated(checkpoints, settings, first_step)
        if is_done and is_evaluated:
            logger.info("Nothing to train: %s is at step %d.", run.workdir, first_step)
            return
        is_main = jax.process_index() == 0
        goodput = Goodput(run.workdir, life.clock, first_step, life.before, is_main)
        make_state = functools.partial(update.init, task.model.batch(1))
        with life, contextlib.ExitStack() as stack:  # what was refused leaves no trace
            # Rows are dropped once there is a state: a damaged checkpoint costs none.
            state, window = starting_state(make_state, parallel, checkpoints, run, step)
            writer = stack.enter_context(
                Writer(run.workdir, first_step, is_evaluated, is_main)
            )
            stack.enter_context(_counted(goodput, checkpoints, life))
            if is_main:
                description.write(run.workdir, run.about)
            writer.parameters(jax.eval_shape(make_state).params)
            evaluator = Evaluator(task, update.forward, parallel, life.progress)
            parts = (evaluator, parallel, checkpoints, writer, window, run)
            keeper = Keeper(*parts, life, goodput)
            if not is_evaluated:
                keeper.evaluate(first_step, state)
            if not is_done:
                _loop(task, update, settings, keeper, first_step, state)


def _is_evaluated(
    checkpoints: checkpoint.Checkpoints, settings: Settings, step: int
) -> bool:
    """Whether the checkpoint of a step has the evaluation that it is to have.

    A run may have been stopped between a checkpoint and its evaluation.
    """
    has_one = step >= settings.total_steps or step % settings.eval_every == 0
    return not (step and has_one) or bool(checkpoints.metrics(step))


def _loop(
    task: Task,
    update: Update,
    settings: Settings,
    keeper: Keeper,
    first_step: int,
    state: TrainState,
) -> None:
    """Takes the steps that are left, or those until the run is asked to stop."""
    life, parallel, window = keeper.life, keeper.parallel, keeper.window
    logger.info("Waiting for the first batch, of %d examples.", settings.batch_size)
    feed = Feed(task.train.batches(first_step, settings.total_steps), life)
    batch = feed.next()
    step_fn = parallel.compile_update(update)
    count = flops.count_flops(step_fn, state, parallel.place_batch(batch))
    logger.info("%.4g GFLOP a step, over all devices", count / 1e9)
    progress = Progress(
        *(first_step, settings.total_steps, settings.batch_size),
        *(task.train.num_examples, life.clock),
    )
    asks = processes.AnyProcess()
    for step in range(first_step + 1, settings.total_steps + 1):
        is_first, is_last = step == first_step + 1, step == settings.total_steps
        life.step = step
        with _profiled(step, settings.profile_steps, keeper.run.workdir):
            with life.clock.phase(phases.COMPILE if is_first else phases.STEP):
                state, sums = step_fn(state, parallel.place_batch(batch))
                window.add(step, sums)
        stops = asks(bool(life.asked))
        life.clock.switch(phases.STEP)
        keeper.checkpoints.check()
        if step % settings.log_every == 0 or is_last:
            values = window.close(keeper.checkpoints.latest_step())
            rates = progress.report(step, values)
            row = {f"train/{name}": value for name, value in values.items()}
            keeper.writer.scalars(step, row | rates | keeper.goodput.shares())
        evaluates = step % settings.eval_every == 0 or is_last
        if evaluates or stops or step % settings.checkpoint_every == 0:
            keeper.save(step, state)
        if stops:
            why = life.asked or "as another process was"
            raise Stopped(f"Asked to stop ({why}): saved step {step}.")
        if evaluates:
            keeper.evaluate(step, state)
            progress.restart(step)
        if not is_last:  # last: where none comes, all of this step is done
            batch = _next_batch(feed, keeper, step, state)


def _next_batch(feed: Feed, keeper: Keeper, step: int, state: TrainState) -> Any:
    """Returns the next batch; where none comes, first saves the steps so far."""
    try:
        return feed.next()
    except Exception:
        if jax.process_count() == 1:  # several must save together
            keeper.save(step, state)
        raise


@contextlib.contextmanager
def _counted(
    goodput: Goodput, checkpoints: checkpoint.Checkpoints, life: Life
) -> Iterator[None]:
    """At the end, waits for what is being written, and tells where the time went."""
    life.before_end = checkpoints.wait
    try:
        yield
    finally:
        with life.clock.phase(phases.SAVE):
            checkpoints.wait()
        saved = checkpoints.latest_step()
        if saved == life.step:  # else the steps since then are lost
            goodput.note(saved)
        logger.info("Where the time went:\n%s", goodput.table())


@contextlib.contextmanager
def _profiled(
    step: int, steps: tuple[int, int] | None, workdir: pathlib.Path
) -> Iterator[None]:
    """Traces the steps from the first to the last one asked for."""
    if steps is not None and step == steps[0]:
        jax.profiler.start_trace(workdir / "profile")
    yield
    if steps is not None and step == steps[1]:
        jax.effects_barrier()
        jax.profiler.stop_trace()
        logger.info("Traced steps %d to %d: %s", *steps, workdir / "profile")
