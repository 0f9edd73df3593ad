"""Metrics as (value, weight) pairs of equal shape, reduced as global sums.

A sum divided by a sum is the same number for any batch size, padding, accumulation or
number of devices; a mean of means is not.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Metrics = Mapping[str, tuple[jax.Array, Any]]  # (value, weight), unreduced
Sums = dict[str, jax.Array]  # name to [sum of value * weight, sum of weight]


def sums(metrics: Metrics) -> Sums:
    """Reduces each (value, weight) to float32 [2]: the two sums of a weighted mean."""
    return {name: _sum(name, *pair) for name, pair in metrics.items()}


def _sum(name: str, value: jax.Array, weight: jax.Array) -> jax.Array:
    if value.shape != weight.shape:
        raise ValueError(
            f"Metric '{name}' has values of shape {value.shape} but weights of shape "
            f"{weight.shape}; they must be equal."
        )
    value, weight = value.astype(jnp.float32), weight.astype(jnp.float32)
    # A row of weight 0 is padding, and what the model says of it may not be finite.
    total = jnp.where(weight != 0, value * weight, 0.0).sum()
    return jnp.stack([total, weight.sum()])


def top_k(logits: jax.Array, labels: jax.Array, k: int) -> jax.Array:
    """Whether the class of largest label is among the k largest logits: [...] float32.

    Ties count against the model: equal logits do not make a correct answer, and what
    is not a number is no answer at all.
    """
    correct = jnp.take_along_axis(logits, labels.argmax(-1)[..., None], axis=-1)
    rank = (~(logits < correct)).sum(-1)  # not >=, which would rank NaN first
    return (rank <= k).astype(jnp.float32)


class Mean:
    """Adds up sums on the host, in float64, over steps or evaluation batches."""

    def __init__(self, totals: Mapping[str, list[float]] | None = None):
        """Starts empty, or from `totals` of an earlier `Mean`."""
        self.totals = {k: list(v) for k, v in (totals or {}).items()}

    def add(self, sums: Mapping[str, np.ndarray]) -> None:
        """Adds one batch's sums."""
        for name, pair in sums.items():
            value, weight = self.totals.get(name, (0.0, 0.0))
            self.totals[name] = [value + float(pair[0]), weight + float(pair[1])]

    def result(self) -> dict[str, float]:
        """Returns the weighted means; a name without any weight is left out."""
        return {k: v / w for k, (v, w) in self.totals.items() if w}
