"""Small programs in loops, whose FLOPs are known by hand."""

import jax
import jax.numpy as jnp

MATMUL = 2 * 8 * 16 * 16  # [8, 16] times [16, 16]


def shape(*dimensions):
    return jax.ShapeDtypeStruct(dimensions, jnp.float32)


def layer(x, w):
    return jnp.tanh(x @ w)


def scanned(x, stack, num_blocks=1, unroll=False):
    """Runs the layers of a stack, and all of them again in each block."""

    def block(x, _):
        return jax.lax.scan(lambda x, w: (layer(x, w), None), x, stack, unroll=unroll)

    return jax.lax.scan(block, x, None, length=num_blocks, unroll=unroll)[0]
