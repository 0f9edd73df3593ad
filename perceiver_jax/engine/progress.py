"""How fast training goes, and how long it will take."""

import logging
import time
from collections.abc import Mapping

from perceiver_jax.cluster import phases
from perceiver_jax.engine.writer import show

logger = logging.getLogger(__name__)


class Progress:
    """Rates since the last report, and the time left."""

    def __init__(
        self,
        start_step: int,
        total_steps: int,
        batch_size: int,
        epoch: int,
        clock: phases.Clock,
    ):
        """Starts; `epoch` is the number of training examples."""
        self._total_steps = total_steps
        self._batch_size = batch_size
        self._epoch = epoch
        self._clock = clock
        self.restart(start_step)

    def report(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        """Logs a line and returns the rates as scalars."""
        seconds = max(time.monotonic() - self._last_time, 1e-9)
        rate = (step - self._last_step) / seconds
        wait = (self._clock.seconds[phases.DATA] - self._last_wait) / seconds
        eta = (self._total_steps - step) / rate if rate else 0.0
        epoch = step * self._batch_size / self._epoch
        logger.info(
            "step %d/%d  epoch %.2f  %s  %.3g steps/s  %.4g examples/s  "
            "data wait %.0f%%  ETA %s",
            *(step, self._total_steps, epoch, show(values)),
            *(rate, rate * self._batch_size, 100 * wait, _hours(eta)),
        )
        self.restart(step)
        return {"steps_per_second": rate, "data_wait": wait}

    def restart(self, step: int) -> None:
        """Leaves out the time since the last report, such as an evaluation's."""
        self._last_step, self._last_time = step, time.monotonic()
        self._last_wait = self._clock.seconds[phases.DATA]


def _hours(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"
