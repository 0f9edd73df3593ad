"""What is made of decoded colours: numbers and pictures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.data.flow import pictures
from perceiver_jax.data.flow.pairs import denormalize
from perceiver_jax.engine import metrics
from perceiver_jax.engine.task import Batch

Array = jax.Array | np.ndarray

SHOWN = 4  # crops in a picture
_ERROR_GAIN = 4  # errors are drawn so many times as bright

_LEAST_ERROR = 4e-10  # of a square: 100 dB, where a picture is equal to the bit


def psnr(colors: Array, target: Array) -> jax.Array:
    """Peak signal-to-noise ratio of each image in dB: [B, ..., 3] to [B] float32.

    10 log10(2^2 / mean square error), as colours go from -1 to 1; what was decoded is
    clipped to that first. At most 100.
    """
    error = jnp.clip(jnp.asarray(colors, jnp.float32), -1, 1) - target
    square = jnp.square(error)
    mean = square.reshape(len(square), -1).mean(-1)
    return 10 * jnp.log10(4 / jnp.maximum(mean, _LEAST_ERROR))


@dataclasses.dataclass(frozen=True)
class Measure:
    """Loss of each pixel, and PSNR of each image.

    `psnr` over a set is the mean of the images' PSNR, not the PSNR of their mean error.
    In training it is that of the pixels that were decoded.

    Attributes:
      loss: "l2", the square of the error, or "l1", its absolute value.
    """

    loss: str

    def __call__(self, colors: jax.Array, batch: Batch) -> metrics.Metrics:
        """Maps colours [B, O, 3] and a batch to metrics [B, O] and [B]."""
        target = batch["image"].reshape(len(colors), -1, 3)
        if "points" in batch:
            points = batch["points"][..., None]
            target = jnp.take_along_axis(target, points, axis=1)
        error = (colors - target).astype(jnp.float32)
        loss = jnp.square(error) if self.loss == "l2" else jnp.abs(error)
        loss = loss.mean(-1)
        mask = batch["mask"]
        return {
            "loss": (loss, jnp.broadcast_to(mask[:, None], loss.shape)),
            "psnr": (psnr(colors, target), mask),
        }


def draw(colors: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """Returns a picture of the first crops, a row each; none where there are none."""
    rows = [
        panel(image, decoded.reshape(image.shape))
        for image, decoded in zip(batch["image"][:SHOWN], colors, strict=False)
    ]
    return {"reconstruction": np.concatenate(rows)} if rows else {}


def panel(image: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Returns a crop, what was decoded of it, and the error, side by side.

    Args:
      image: [H, W, 3] from -1 to 1.
      decoded: likewise.

    Returns:
      [h, w, 3] uint8.
    """
    first, second = denormalize(image), denormalize(decoded)
    error = np.abs(second.astype(int) - first) * _ERROR_GAIN
    ratio = float(psnr(decoded[None], image[None])[0])
    return pictures.side_by_side(
        {
            "input": first,
            f"decoded, {ratio:.1f} dB": second,
            f"error, {_ERROR_GAIN} times": np.minimum(error, 255),
        },
        {},
    )
