"""What is made of decoded elements, by modality: numbers, pictures and sounds."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch
from perceiver_jax.model.adapters.modalities import Modality

PEAK = 1.0  # of PSNR: pixels are from 0 to 1, and the loudest sound is 1


@dataclasses.dataclass(frozen=True)
class Measure:
    """The loss of all modalities, and how good each is, by example.

    `NAME_psnr` is in decibels: of each example first, from the mean square of all its
    elements that were decoded, then the mean over examples. Of a modality without axes
    the loss is the cross-entropy, and `NAME_top1` is told.

    Attributes:
      modalities: what is decoded.
      loss_weights: by name (Perceiver IO, appendix I).
    """

    modalities: Sequence[Modality]
    loss_weights: Mapping[str, float]

    def __call__(
        self, outputs: Mapping[str, jax.Array], batch: Batch
    ) -> metrics.Metrics:
        """Maps elements [B, n, channels] by modality and a batch to [B] each."""
        loss, found = jnp.zeros(len(batch["mask"])), {}
        for modality in self.modalities:
            name = modality.name
            weight = batch["mask"] * batch.get(f"{name}_known", 1.0)
            target = targets(modality, batch)
            decoded = outputs[name].astype(jnp.float32)
            if modality.grid:
                own = jnp.abs(decoded - target).mean((1, 2))
                found[f"{name}_l1"] = (own, weight)
                found[f"{name}_psnr"] = (psnr(decoded, target), weight)
            else:
                logits, labels = decoded[:, 0], target[:, 0]
                own = losses.softmax_cross_entropy(logits, labels)
                found[f"{name}_loss"] = (own, weight)
                found[f"{name}_top1"] = (metrics.top_k(logits, labels, 1), weight)
            present = batch.get(f"{name}_known", jnp.ones_like(own))
            loss += self.loss_weights[name] * jnp.where(present, own, 0.0)
        return {"loss": (loss, batch["mask"]), **found}


def targets(modality: Modality, batch: Batch) -> jax.Array:
    """Returns the elements [B, n, channels] that were asked for."""
    elements = modality.cut(jnp.asarray(batch[modality.name])).astype(jnp.float32)
    points = batch.get(f"{modality.name}_points")
    if points is None:
        return elements
    return jnp.take_along_axis(elements, points[..., None], axis=1)


def psnr(decoded: jax.Array, target: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in decibels of each example: [B, n, c] to [B]."""
    square = jnp.square(decoded - target).mean((1, 2))
    return 10 * jnp.log10(PEAK**2 / jnp.maximum(square, 1e-10))
