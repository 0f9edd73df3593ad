"""A long axis in blocks, for programs that visit one after the other.

The axis is the second one, after the batch.
"""

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


def split(x: jax.Array, count: int) -> jax.Array:
    """[B, length, ...] to [count, B, length / count, ...], padded with zeros."""
    padding = -x.shape[1] % count
    x = jnp.pad(x, [(0, 0), (0, padding)] + [(0, 0)] * (x.ndim - 2))
    return jnp.moveaxis(x.reshape(x.shape[0], count, -1, *x.shape[2:]), 1, 0)


def join(parts: jax.Array, length: int) -> jax.Array:
    """The inverse of `split`: [count, B, block, ...] to [B, length, ...]."""
    joined = jnp.moveaxis(parts, 0, 1)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])[:, :length]
