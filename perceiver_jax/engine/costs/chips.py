"""What TPU chips can do: memory, arithmetic, bandwidth, as their makers say."""

import dataclasses
from typing import NamedTuple


class StepTime(NamedTuple):
    """How long a step takes, and what holds it up."""

    seconds: float
    bound: str  # "compute" or "memory"


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip."""

    memory: float  # bytes of HBM; programs get a little less
    flops: float  # a second, bfloat16, at most
    bandwidth: float  # bytes a second between HBM and cores, at most
    devices: int = 1  # of JAX's, which share all of the above

    def step_time(
        self, flops: float, bytes_accessed: float, utilisation: float
    ) -> StepTime:
        """Estimates a step from what one device does: the slower of two counts.

        Args:
          flops: of the step.
          bytes_accessed: of the step, read and written.
          utilisation: share of the peak FLOPs that products reach, in (0, 1].
        """
        compute = flops * self.devices / (self.flops * utilisation)
        memory = bytes_accessed * self.devices / self.bandwidth
        if compute >= memory:
            return StepTime(compute, "compute")
        return StepTime(memory, "memory")


# https://docs.cloud.google.com/tpu/docs/v4, and so on for each. Pages of other dates
# have 800 GB/s for v5e and 1,640 for v6e.
CHIPS = {
    "v2": Chip(16 * 2**30, 46e12, 700e9, devices=2),
    "v3": Chip(32 * 2**30, 123e12, 900e9, devices=2),
    "v4": Chip(32 * 2**30, 275e12, 1200e9),
    "v5e": Chip(16 * 2**30, 197e12, 819e9),
    "v5p": Chip(95 * 2**30, 459e12, 2765e9),
    "v6e": Chip(32 * 2**30, 918e12, 1600e9),
}


def find(topology: str) -> Chip:
    """Returns the chip of a topology such as "v5e:8x8".

    Raises:
      ValueError: it is not in the table.
    """
    generation = topology.partition(":")[0]
    if generation not in CHIPS:
        known = ", ".join(CHIPS)
        raise ValueError(f"{topology!r}: no chip '{generation}' is known, but {known}.")
    return CHIPS[generation]
