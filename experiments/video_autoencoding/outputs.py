"""What is made of decoded elements, by modality: numbers, and clips again."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch
from perceiver_jax.model.adapters.modalities import Modality

PEAK = 1.0  # of PSNR: pixels are from 0 to 1, and the loudest sound is 1


def points_name(modality: str) -> str:
    """Returns under which name a batch has the elements to decode, if not all."""
    return f"{modality}_points"


def to_floats(x: jax.typing.ArrayLike) -> jax.Array:
    """Returns pixels from 0 to 1 where they are uint8; other arrays as they are."""
    x = jnp.asarray(x)
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


@dataclasses.dataclass(frozen=True)
class Measure:
    """The loss of all modalities, and how good each is, by example.

    `NAME_psnr` is in decibels: of each example first, from the mean square of all its
    elements that were decoded, then the mean over examples. Of a modality without axes
    the loss is the cross-entropy, and `NAME_top1` is told. Elements that the example
    does not have count nowhere.

    Attributes:
      modalities: what is decoded.
      loss: of modalities with axes: "l1", mean absolute errors, as the paper; or
        "l2", mean square errors.
      loss_weights: by name (Perceiver IO, appendix I).
    """

    modalities: Sequence[Modality]
    loss: str
    loss_weights: Mapping[str, float]

    def __call__(
        self, outputs: Mapping[str, jax.Array], batch: Batch
    ) -> metrics.Metrics:
        """Maps elements [B, n, channels] by modality and a batch to [B] each."""
        loss, found = jnp.zeros(len(batch["mask"])), {}
        for modality in self.modalities:
            name = modality.name
            target = targets(modality, batch)
            decoded = outputs[name].astype(jnp.float32)
            if modality.grid:
                known = _known(modality, batch)
                weight = batch["mask"] * known.any(1)
                absolute = _mean(jnp.abs(decoded - target), known)
                square = _mean(jnp.square(decoded - target), known)
                own = {"l1": absolute, "l2": square}[self.loss]
                found[f"{name}_l1"] = (absolute, weight)
                found[f"{name}_psnr"] = (psnr(square), weight)
            else:
                logits, labels = decoded[:, 0], target[:, 0]
                own = losses.softmax_cross_entropy(logits, labels)
                found[f"{name}_loss"] = (own, batch["mask"])
                top1 = metrics.top_k(logits, labels, 1)
                found[f"{name}_top1"] = (top1, batch["mask"])
            loss += self.loss_weights[name] * own
        return {"loss": (loss, batch["mask"]), **found}


def targets(modality: Modality, batch: Batch) -> jax.Array:
    """Returns the elements [B, n, channels] that were asked for, as float32."""
    elements = modality.cut(to_floats(batch[modality.name]))
    return _asked(modality, elements.astype(jnp.float32), batch)


def psnr(square: jax.typing.ArrayLike) -> jax.Array:
    """Peak signal-to-noise ratio in decibels, from mean square errors."""
    return 10 * jnp.log10(PEAK**2 / jnp.maximum(square, 1e-10))


def _known(modality: Modality, batch: Batch) -> jax.Array:
    """Returns which of the elements asked for are there: [B, n] bool."""
    known = modality.known(jnp.asarray(batch[f"{modality.name}_known"]))
    return _asked(modality, known[..., None], batch)[..., 0]


def _asked(modality: Modality, elements: jax.Array, batch: Batch) -> jax.Array:
    points = batch.get(points_name(modality.name))
    if points is None:
        return elements
    return jnp.take_along_axis(elements, points[..., None], axis=1)


def _mean(x: jax.Array, known: jax.Array) -> jax.Array:
    """Means over the known elements [B, n] of [B, n, channels]: [B]; 0 of none."""
    count = jnp.maximum(known.sum(1), 1)
    return jnp.where(known, x.mean(-1), 0).sum(1) / count


def to_frames(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels from 0 to 1 as uint8; what is beyond is clipped."""
    return (255 * np.clip(pixels, 0, 1) + 0.5).astype(np.uint8)
