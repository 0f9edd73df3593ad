"""Frames larger than a model's, in overlapping tiles that are blended.

(Perceiver IO, appendix H: a tile's flow weighs by the distance to the tile's edge.)
"""

import itertools
from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

MIN_OVERLAP = 20  # pixels, as the released model; half the side of a smaller tile


def min_overlap(tile: int) -> int:
    """Returns how many pixels tiles of this side share at least."""
    return min(MIN_OVERLAP, tile // 2)


def tile_starts(length: int, tile: int) -> list[int]:
    """Returns where tiles start along an axis, the last one flush with its end.

    Raises:
      ValueError: the axis is shorter than a tile.
    """
    if length < tile:
        raise ValueError(f"{length} pixels are fewer than a tile of {tile}.")
    starts = range(0, length - tile, tile - min_overlap(tile))
    return [*starts, length - tile]


def tile_corners(shape: Sequence[int], tile: Sequence[int]) -> np.ndarray:
    """Returns the first row and column of every tile of an image: [tiles, 2].

    Raises:
      ValueError: the image is smaller than a tile.
    """
    starts = (tile_starts(*sizes) for sizes in zip(shape, tile))
    return np.array(list(itertools.product(*starts)))


def tile_weights(tile: Sequence[int]) -> np.ndarray:
    """Returns the weight of a tile's pixels, their distance to its edge: [h, w]."""
    distances = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in tile)
    return np.minimum.outer(*distances).astype(np.float32)


def blend_tiles(
    predict: Callable[[jax.Array], jax.Array],
    frames: jax.Array,
    tile: Sequence[int],
    corners: np.ndarray,
) -> jax.Array:
    """Returns what a model of one size says of larger frames.

    Args:
      predict: maps [B, T, *tile, channels] to [B, *tile, outputs]; a Haiku function
        whose modules exist already.
      frames: [B, T, H, W, channels].
      tile: height and width of a tile.
      corners: of `tile_corners`, in any order.

    Returns:
      [B, H, W, outputs]; where tiles overlap, their weighted mean.
    """
    batch, _, *shape, _ = frames.shape
    tile_shape = (*frames.shape[:2], *tile, frames.shape[-1])

    def predict_at(corner):
        start = (0, 0, corner[0], corner[1], 0)
        return predict(jax.lax.dynamic_slice(frames, start, tile_shape))

    if hk.running_init():  # inside a scan no parameters can be made
        outputs = predict_at(corners[0])
        return jnp.zeros((batch, *shape, outputs.shape[-1]), outputs.dtype)
    tile_weight = jnp.asarray(tile_weights(tile))[..., None]

    def visit(carry, corner):
        mean, weight = carry
        outputs = predict_at(corner)
        start = (0, corner[0], corner[1], 0)
        mean_here = jax.lax.dynamic_slice(mean, start, outputs.shape)
        weight_here = jax.lax.dynamic_slice(weight, start[1:], tile_weight.shape)
        # A running mean, so that a constant stays the same to the bit.
        share = (tile_weight / (weight_here + tile_weight)).astype(outputs.dtype)
        mean_here += share * (outputs - mean_here)
        mean = jax.lax.dynamic_update_slice(mean, mean_here, start)
        weight = jax.lax.dynamic_update_slice(
            weight, weight_here + tile_weight, start[1:]
        )
        return (mean, weight), None

    outputs = hk.eval_shape(predict_at, corners[0])
    mean = jnp.zeros((batch, *shape, outputs.shape[-1]), outputs.dtype)
    weight = jnp.zeros((*shape, 1), jnp.float32)
    return hk.scan(visit, (mean, weight), jnp.asarray(corners))[0][0]
