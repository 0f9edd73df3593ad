"""A long axis in blocks, for programs that visit one after the other.

The axis is the second one, after the batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def count(length: int, longest: int) -> int:
    """Returns the fewest blocks of at most `longest`, preferring not to need padding.

    One where there would not be two.
    """
    if length < 2 * longest:
        return 1
    fewest = -(-length // longest)
    even = (n for n in range(fewest, 2 * fewest) if length % n == 0)
    return next(even, fewest)


def pad(x: jax.Array, count: int) -> jax.Array:
    """Pads [B, length, ...] with zeros to a multiple of `count`."""
    padding = [(0, 0)] * x.ndim
    padding[1] = (0, -x.shape[1] % count)
    return jnp.pad(x, padding)


def join(parts: jax.Array, length: int) -> jax.Array:
    """Maps blocks [count, B, block, ...] to [B, length, ...], without the padding."""
    joined = jnp.moveaxis(parts, 0, 1)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])[:, :length]


def map_blocks(
    function: Callable[[Any], jax.Array], arrays: Any, count: int, loop: Callable
) -> jax.Array:
    """Applies a function block by block.

    Args:
      function: maps a tree of arrays [B or 1, block, ...] to [B, block, channels].
      arrays: a tree of arrays [B or 1, length, ...].
      count: how many blocks.
      loop: jax.lax.map, or hk.map for a function with modules.

    Returns:
      [B, length, channels].
    """
    leaves, structure = jax.tree.flatten(arrays)
    length = leaves[0].shape[1]
    block = -(-length // count)

    # Batch and block are one axis outside of the loop: an axis of length 1 beside
    # another gets a layout that XLA copies before it loops.
    def split(x):
        x = pad(x, count)
        x = jnp.moveaxis(x.reshape(x.shape[0], count, block, *x.shape[2:]), 1, 0)
        return x.reshape(count, -1, *x.shape[3:])

    def visit(parts):
        parts = [x.reshape(-1, block, *x.shape[1:]) for x in parts]
        outputs = function(structure.unflatten(parts))
        return outputs.reshape(-1, outputs.shape[-1])

    outputs = loop(visit, [split(x) for x in leaves])
    return join(outputs.reshape(count, -1, block, outputs.shape[-1]), length)
