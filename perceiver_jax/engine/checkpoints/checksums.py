"""Checksums of arrays, the same however an array lies on devices and processes.

The bits of each element are mixed with its place in the array, and a checksum is the
sum of that over all elements, modulo 2^32. For a given place the mix is one to one, so
a change of one element, of a single bit too, always changes the sum. There are two
sums, of different mixes: that several changed elements, or elements in other places,
leave both as they were has a chance of about 2^-64.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from perceiver_jax.engine.checkpoints.named_arrays import leaves

# Shift, factor, shift, factor, shift: two mixes that are one to one on 32 bits. The
# first is the end of MurmurHash3, the second is lowbias32 of C. Wellons.
_MIXES = (
    (16, 0x85EBCA6B, 13, 0xC2B2AE35, 16),
    (16, 0x7FEB352D, 15, 0x846CA68B, 16),
)
# Programs that may be queued: many queued collectives deadlock on virtual CPU devices.
_MAX_IN_FLIGHT = 8


class Checksum(NamedTuple):
    """What an array is.

    Attributes:
      shape: of it.
      dtype: name of its type.
      value: of its bits and their places, 16 hexadecimal digits.
      is_finite: whether it has neither infinities nor NaN.
    """

    shape: tuple[int, ...]
    dtype: str
    value: str
    is_finite: bool


def checksums_of(tree: Any) -> dict[str, Checksum]:
    """Returns the checksum of every array of a tree, by name.

    Args:
      tree: of NumPy or JAX arrays, of elements of at most 4 bytes. Those of several
        processes are computed by all of them, which must call this together.

    Raises:
      ValueError: elements are wider.
    """
    arrays = leaves(tree)
    sums = jax.device_get(dict(_sums_of_all(arrays)))
    return {
        name: Checksum(
            tuple(arrays[name].shape),
            str(arrays[name].dtype),
            f"{first:08x}{second:08x}",
            bool(is_finite),
        )
        for name, (first, second, is_finite) in sums.items()
    }


def _sums_of_all(arrays: dict[str, Any]) -> Iterator[tuple[str, jax.Array]]:
    for count, (name, array) in enumerate(arrays.items(), 1):
        if array.dtype.itemsize > 4:
            raise ValueError(
                f"{name} is {array.dtype}, which JAX restores as a narrower type: save "
                "it as one of 32 bits or less."
            )
        sums = _sums_of(array)
        if count % _MAX_IN_FLIGHT == 0:
            jax.block_until_ready(sums)
        yield name, sums


def _sums_of(array: Any) -> jax.Array:
    """Returns both sums and whether all is finite, on every process: [3] uint32."""
    if not isinstance(array, jax.Array):
        return _sums(np.asarray(array))
    if array.is_fully_replicated:
        return _sums(array.addressable_data(0))  # one of the equal copies
    return _compiled_for(array.sharding)(array)


@functools.cache
def _compiled_for(split: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    """Returns `_sums` of an array that is split over a mesh, for every process."""
    return jax.jit(_sums, out_shardings=NamedSharding(split.mesh, PartitionSpec()))


@jax.jit
def _sums(x: jax.Array) -> jax.Array:
    is_finite = jnp.array(True)
    if jnp.issubdtype(x.dtype, jnp.floating):
        is_finite = jnp.isfinite(x).all()
    if x.dtype == bool:
        x = x.astype(jnp.uint8)
    bits = jax.lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}")
    keyed = bits.astype(jnp.uint32) ^ (_places(x.shape) * jnp.uint32(0x9E3779B1))
    sums = [jnp.sum(_mix(keyed, *mix), dtype=jnp.uint32) for mix in _MIXES]
    return jnp.stack([*sums, is_finite.astype(jnp.uint32)])


def _places(shape: tuple[int, ...]) -> jax.Array:
    """Returns where each element stands in the whole array, modulo 2^32."""
    places = jnp.zeros(shape, jnp.uint32)
    stride = 1
    for axis in reversed(range(len(shape))):
        along = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
        places += along * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return places


def _mix(bits: jax.Array, *steps: int) -> jax.Array:
    shift_1, factor_1, shift_2, factor_2, shift_3 = steps
    bits = (bits ^ (bits >> shift_1)) * jnp.uint32(factor_1)
    bits = (bits ^ (bits >> shift_2)) * jnp.uint32(factor_2)
    return bits ^ (bits >> shift_3)
