"""What is made of predicted flow [B, H, W, 2], in pixels: numbers and pictures."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.data.flow import pictures
from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch

OUTLIERS = (1, 3, 5)  # pixels of error beyond which a pixel counts as one
MAGNITUDES = ((0, 10), (10, 40), (40, np.inf))  # pixels of motion (Sintel's table)
SHOWN = 4  # pairs in a picture


def measure(flow: jax.Array, batch: Batch) -> metrics.Metrics:
    """Returns metrics of each pixel [B, H, W], weighted by whether its flow is known.

    `epe` is the mean end-point error, which is also the loss, told besides for slow
    and fast pixels and for those that the second frame shows or hides; `fl_all` is
    KITTI's share of pixels that are off by more than 3 pixels and 5%; `damaged` is the
    share of pixels whose flow can't be true, which count nowhere else.
    """
    target = batch["flow"]
    error = losses.end_point_error(flow, target)
    length = losses.end_point_error(target, jnp.zeros_like(target))
    present = jnp.broadcast_to(batch["mask"][:, None, None], error.shape)
    weight = batch["valid"] * present
    found = {"loss": (error, weight), "epe": (error, weight)}
    for pixels in OUTLIERS:
        found[f"outliers_{pixels}px"] = (error > pixels, weight)
    found["fl_all"] = ((error > 3) & (error > 0.05 * length), weight)
    for low, high in MAGNITUDES:
        name = f"epe_s{low}_{high}" if np.isfinite(high) else f"epe_s{low}+"
        found[name] = (error, weight * ((low <= length) & (length < high)))
    if "occluded" in batch:
        found["epe_matched"] = (error, weight * ~batch["occluded"])
        found["epe_unmatched"] = (error, weight * batch["occluded"])
    found["damaged"] = (batch["damaged"].astype(jnp.float32), present)
    return found


@dataclasses.dataclass(frozen=True)
class Score:
    """Minus the mean end-point error over sets: the best checkpoint has the largest."""

    sets: Sequence[str]

    def __call__(self, numbers: Mapping[str, float]) -> float:
        """Maps the numbers of an evaluation to the score.

        Raises:
          ValueError: a set has no pixel whose flow is known.
        """
        for name in self.sets:
            if f"{name}/epe" not in numbers:
                raise ValueError(
                    f"No pixel of '{name}' has a known flow: leave it out."
                )
        return -float(np.mean([numbers[f"{name}/epe"] for name in self.sets]))


def draw(flow: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """Returns a picture of the first pairs, a row each; none where there are none."""
    rows = [
        pictures.panel(*row)
        for row in zip(
            batch["frames"][:SHOWN], batch["flow"], batch["valid"], flow, strict=False
        )
    ]
    return {"flow": np.concatenate(rows)} if rows else {}
