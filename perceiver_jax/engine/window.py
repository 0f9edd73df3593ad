"""The metrics of steps between two logs, and whether they are finite."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from perceiver_jax.engine.metrics import Mean
from perceiver_jax.engine.writer import show

# Steps that may be queued on the devices. More hides no more latency, and many queued
# collectives deadlock on virtual CPU devices.
MAX_IN_FLIGHT = 8


class NonFiniteError(FloatingPointError):
    """The loss or its gradient is not finite; names the step.

    Attributes:
      step: which one, counted from 1.
    """

    def __init__(self, message: str, step: int):
        """Takes what to say, and the step."""
        super().__init__(message)
        self.step = step


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
                        "precision with compute=float32.",
                        step,
                    )
            self._mean.add(sums)

    def close(self, saved: int | None) -> dict[str, float]:
        """Returns the means over the window and starts a new one; as `check`."""
        self.check(saved)
        values = self._mean.result()
        self._mean = Mean()
        return values
