"""The mesh of devices, and the names of its axes."""

import collections
from collections.abc import Sequence

import jax
import numpy as np

AXIS = "data"  # along which the batch is split
SECOND_AXES = {"tensor": "model", "inputs": "inputs"}  # by mode, see sharding.py


def make_mesh(
    devices: Sequence[jax.Device] | None = None,
    second_axis: str | None = None,
    length: int = 1,
) -> jax.sharding.Mesh:
    """Returns a mesh of all visible devices (or `devices`) with the axis "data".

    Args:
      devices: those to use, in any order.
      second_axis: name of an axis of neighbours, besides "data".
      length: of the second axis.
    """
    devices = jax.devices() if devices is None else devices
    # By process, so that each loads the rows of its own places along "data".
    devices = sorted(devices, key=lambda device: (device.process_index, device.id))
    names = (AXIS,) if second_axis is None else (AXIS, second_axis)
    shape = (-1,) if second_axis is None else (-1, length)
    # Explicit axes, the default of jax.make_mesh, break Haiku's sharded parameters.
    types = (jax.sharding.AxisType.Auto,) * len(names)
    return jax.sharding.Mesh(np.asarray(devices).reshape(shape), names, types)


def check_second_axis(devices: Sequence[jax.Device], length: int) -> int:
    """Returns the length of a second axis: as asked, or for 0 a process's devices.

    Raises:
      ValueError: the devices of a process don't make whole rows of it.
    """
    counts = collections.Counter(device.process_index for device in devices).values()
    length = length or min(counts)
    if any(count % length for count in counts):
        raise ValueError(
            f"sharding_devices={length} must divide the {min(counts)} devices of a "
            "process: what is split in this way stays within one."
        )
    return length
