"""Saves and evaluates the state of a run."""

import logging
from typing import NamedTuple

from perceiver_jax.cluster import phases
from perceiver_jax.cluster.life import Life
from perceiver_jax.engine import evaluation, sharding
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.goodput import Goodput
from perceiver_jax.engine.starting import Run, split_state
from perceiver_jax.engine.update import TrainState
from perceiver_jax.engine.window import Window
from perceiver_jax.engine.writer import Writer, show

logger = logging.getLogger(__name__)


class Keeper(NamedTuple):
    """Saves and evaluates the state of a run."""

    evaluator: evaluation.Evaluator
    parallel: sharding.OverMesh | sharding.OverPmap
    checkpoints: checkpoint.Checkpoints
    writer: Writer
    window: Window
    run: Run
    life: Life
    goodput: Goodput

    def save(self, step: int, state: TrainState) -> None:
        """Starts to write a checkpoint, never of a state that is not finite."""
        with self.life.clock.phase(phases.SAVE):
            self.window.check(self.checkpoints.latest_step())
            variables, rest = split_state(self.parallel.to_save(state))
            about = {**self.run.about, "window": self.window.totals}
            self.checkpoints.save(step, variables, rest, about)
        self.goodput.note(step)

    def evaluate(self, step: int, state: TrainState) -> None:
        """Evaluates a state that was saved, and adds the numbers to its checkpoint."""
        with self.life.clock.phase(phases.EVALUATION):
            variables = evaluation.Variables(state.params, state.model_state)
            found = self.evaluator(variables).metrics
            logger.info("evaluated step %d  %s", step, show(found))
            self.writer.scalars(step, found)
            samples = self.evaluator.samples(variables)
            self.writer.pictures(step, samples.pictures)
            self.writer.texts(step, samples.texts)
            self.writer.sounds(step, samples.sounds)
            # Last: what has no numbers in its checkpoint is evaluated again later.
            self.checkpoints.add_metrics(step, found)
        self.goodput.note(step)
