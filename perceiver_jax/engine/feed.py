"""The batches of training, made by a thread while the step before them runs."""

import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from perceiver_jax.cluster import phases
from perceiver_jax.cluster.life import Life

logger = logging.getLogger(__name__)

WARN_AFTER = 30.0  # seconds of waiting for a batch
# What several processes can't save, as some of them are in a step already, they had
# rather finish: so long may the batch of a process that was asked to stop take.
GRACE = 10.0


class DataTimeoutError(TimeoutError):
    """No batch came within the limit."""


class Feed:
    """Gives one batch after the other, however long the data takes, and says so."""

    def __init__(self, batches: Iterator[Any], life: Life):
        """Starts to make the first batch."""
        self._life = life
        self._made: queue.Queue[Any] = queue.Queue(maxsize=1)
        self._batches = batches
        threading.Thread(target=self._make, daemon=True).start()

    def _make(self) -> None:
        try:
            for batch in self._batches:
                self._made.put(batch)
        except BaseException as error:  # also what only threads raise: main reports it
            self._made.put(error)

    def next(self) -> Any:
        """Returns the next batch.

        Raises:
          Stopped: the process was asked to stop, and no batch comes.
          DataTimeoutError: no batch came within the limit.
        """
        start = time.monotonic()
        warned = False
        with self._life.clock.phase(phases.DATA):
            while True:
                try:
                    made = self._made.get(timeout=0.2)
                except queue.Empty:
                    waited = time.monotonic() - start
                    if self._life.count == 1 or waited > GRACE:
                        self._life.check()
                    if waited > self._life.limits.stall:
                        raise DataTimeoutError(
                            f"No batch of data for {waited:.0f} s: see whether the "
                            "disk or network that it comes from hangs. How long to "
                            "wait is --config.stall_limit."
                        ) from None
                    if waited > WARN_AFTER and not warned:
                        logger.warning("Waiting for data for %.0f s.", waited)
                        warned = True
                    continue
                if isinstance(made, BaseException):
                    raise made
                return made
