"""A long axis cut into chunks, for programs that visit one after the other.

The axis is the second one, after the batch. Its last chunk may need padding.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def num_chunks(length: int, longest: int) -> int:
    """Returns the number of chunks to cut an axis into.

    Lengths below twice the longest stay whole. Others are cut into chunks of at most
    the longest: into equal ones where that takes less than twice as many chunks as
    needed, else into the fewest.
    """
    if length < 2 * longest:
        return 1
    fewest = -(-length // longest)
    equal = (n for n in range(fewest, 2 * fewest) if length % n == 0)
    return next(equal, fewest)


def pad(x: jax.Array, count: int) -> jax.Array:
    """Pads [B, length, ...] with zeros to a multiple of `count`."""
    padding = [(0, 0)] * x.ndim
    padding[1] = (0, -x.shape[1] % count)
    return jnp.pad(x, padding)


def join(parts: jax.Array, length: int) -> jax.Array:
    """Maps chunks [count, B, chunk, ...] to [B, length, ...], without the padding."""
    joined = jnp.moveaxis(parts, 0, 1)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])[:, :length]


def map_chunks(
    function: Callable[[Any], jax.Array],
    arrays: Any,
    count: int,
    loop: Callable,
    parts: int = 1,
) -> jax.Array:
    """Applies a function to one chunk after the other.

    Args:
      function: maps a tree of arrays [B or 1, chunk, ...] to [B, chunk, channels].
      arrays: a tree of arrays [B or 1, length, ...].
      count: how many chunks.
      loop: jax.lax.map, or hk.map for a function with modules.
      parts: of the axis, each on a device of its own; a chunk then has a piece of
        every part, so that all devices work on each.

    Returns:
      [B, length, channels].
    """
    leaves, structure = jax.tree.flatten(arrays)
    length = leaves[0].shape[1]
    piece = -(-length // (count * parts))

    # The loop carries part, batch and piece as one axis: XLA copies an array that has
    # an axis of length 1 (the batch's, often) beside another before it loops over it.
    def split(x):
        x = pad(x, count * parts)
        x = x.reshape(x.shape[0], parts, count, piece, *x.shape[2:])
        x = jnp.moveaxis(x, (2, 1), (0, 1))
        return x.reshape(count, -1, *x.shape[4:])

    def visit(pieces):
        def chunk(x):
            x = jnp.moveaxis(x.reshape(parts, -1, piece, *x.shape[1:]), 0, 1)
            return x.reshape(x.shape[0], -1, *x.shape[3:])

        outputs = function(structure.unflatten([chunk(x) for x in pieces]))
        outputs = outputs.reshape(-1, parts, piece, outputs.shape[-1])
        return jnp.moveaxis(outputs, 1, 0).reshape(-1, outputs.shape[-1])

    outputs = loop(visit, [split(x) for x in leaves])
    outputs = outputs.reshape(count, parts, -1, piece, outputs.shape[-1])
    outputs = jnp.moveaxis(outputs, (2, 1, 0), (0, 1, 2))
    return outputs.reshape(outputs.shape[0], -1, outputs.shape[-1])[:, :length]
