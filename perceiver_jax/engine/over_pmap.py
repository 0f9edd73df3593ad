"""Data parallel by jax.pmap: see sharding.py."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from perceiver_jax.engine.mesh import AXIS, make_mesh


@dataclasses.dataclass(frozen=True)
class OverPmap:
    """pmap: every device holds a whole state and a part of the batch."""

    @property
    def batch_parts(self) -> int:
        """How many parts a global batch is split into."""
        return jax.device_count()

    def describe(self) -> str:
        """Says how it spreads, for people."""
        return f"pmap over {jax.device_count()}; a whole state on each device"

    def initialize(self, init: Callable[[], Any]) -> Any:
        """Runs `init` once per process and replicates the result."""
        return self.from_saved(jax.jit(init)())

    def abstract_state(self, init: Callable[[], Any]) -> Any:
        """Returns shapes and types to restore a state into, on one device."""
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            jax.eval_shape(init),
        )

    def place_batch(self, batch: Any) -> Any:
        """Splits this process's part of a batch over its devices."""
        count = jax.local_device_count()
        return jax.tree.map(
            lambda x: np.reshape(x, (count, -1, *np.shape(x)[1:])), batch
        )

    def compile_update(self, update: Callable) -> Callable:
        """Compiles (state, batch) -> (state, sums); the state's memory is reused."""
        mapped = jax.pmap(
            functools.partial(update, axis_name=AXIS), AXIS, donate_argnums=0
        )

        def run(state, batch):
            state, sums = mapped(state, batch)
            return state, jax.tree.map(lambda x: x[0], sums)

        return run

    def compile_eval(self, function: Callable) -> Callable:
        """Compiles (state, batch) -> arrays that every process gets whole."""
        mapped = jax.pmap(functools.partial(function, axis_name=AXIS), AXIS)
        return lambda state, batch: jax.tree.map(lambda x: x[0], mapped(state, batch))

    def to_save(self, state: Any) -> Any:
        """Returns one device's copy, on the host."""
        return jax.tree.map(lambda x: np.asarray(x.addressable_data(0))[0], state)

    def from_saved(self, state: Any) -> Any:
        """Replicates a state to this process's devices."""
        devices = jax.local_devices()
        mesh = make_mesh(devices)
        sharding = NamedSharding(mesh, PartitionSpec(AXIS))

        def replicate(x):
            x = jnp.broadcast_to(jnp.asarray(x), (len(devices), *jnp.shape(x)))
            return jax.device_put(x, sharding)

        return jax.tree.map(replicate, state)
