"""A long axis spread over devices, each of which holds its part of it.

Where a program runs over a mesh with the axis "inputs" (engine/sharding.py), the M
inputs and the O queries are in as many parts as that axis has devices. Anywhere else
nothing here does anything.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from perceiver_jax.model import chunks

AXIS = "inputs"

# The long axis of an attention: its inputs (keys and values), its queries, or neither.
LongAxis = Literal["inputs", "queries"] | None


def num_parts(length: int) -> int:
    """Returns how many parts a long axis is in; to be asked while tracing.

    One that has fewer places than there are devices stays whole.
    """
    devices = jax.sharding.get_abstract_mesh().shape.get(AXIS, 1)
    return devices if devices <= length else 1


def place(
    x: jax.Array, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array | None]:
    """Gives every device its part of x [B, length, channels] and mask [B, length].

    Both are padded where the length doesn't divide, with a mask that says so.
    """
    batch, length, _ = x.shape
    parts = num_parts(length)
    if parts == 1:
        return x, mask
    if length % parts and mask is None:
        mask = jnp.ones((batch, length), bool)
    return _place(x, parts), None if mask is None else _place(mask, parts)


def _place(x, parts):
    free = PartitionSpec.UNCONSTRAINED  # as the batch is: the compiler knows
    spec = PartitionSpec(free, AXIS, *[free] * (x.ndim - 2))
    return jax.lax.with_sharding_constraint(chunks.pad(x, parts), spec)


def over_devices(
    function: Callable,
    axes: Sequence[int | None],
    output_axes: Sequence[int | None],
) -> Callable:
    """Returns a function that every device runs on its parts.

    Args:
      function: maps arrays to a tuple of arrays; knows its fellows by AXIS.
      axes: for each argument which of its axes is in parts, None where it is whole.
      output_axes: the same for what is returned.
    """

    def specs(axes):
        return tuple(
            PartitionSpec() if a is None else PartitionSpec(*[None] * a, AXIS)
            for a in axes
        )

    return jax.shard_map(
        function,
        in_specs=specs(axes),
        out_specs=specs(output_axes),
        axis_names={AXIS},
        check_vma=False,  # the sums over devices are explicit
    )
