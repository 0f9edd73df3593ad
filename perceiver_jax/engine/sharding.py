"""Where arrays live and how programs are compiled: one mesh axis, "data".

`OverMesh` (jit, the default) and `OverPmap` do the same for the engine: place a state
and a batch, compile a program, bring a state back. With axis_name="data" a program sees
one device's shard and sums explicitly; with None it sees global arrays and the compiler
inserts the sums.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

AXIS = "data"
WORTH_SHARDING = 2**16  # smaller arrays cost more to gather than they save


def make_mesh(devices=None) -> jax.sharding.Mesh:
    """Returns a mesh of all visible devices (or `devices`) with the axis "data"."""
    devices = jax.devices() if devices is None else devices
    # Explicit axes, the default of jax.make_mesh, break Haiku's sharded parameters.
    types = (jax.sharding.AxisType.Auto,)
    return jax.sharding.Mesh(np.asarray(devices).reshape(-1), (AXIS,), axis_types=types)


class Process(TypedDict):
    """Which process, of how many, as loaders take it."""

    process_index: int
    process_count: int


def this_process() -> Process:
    """Returns which process this is and how many there are."""
    return Process(process_index=jax.process_index(), process_count=jax.process_count())


def update_axis(shard_state: bool) -> str | None:
    """Returns the mesh axis that training steps, and BatchNorm, reduce over.

    Replicated state: gradients are summed once, after the backward pass; the compiler
    would sum shared parameters in every iteration of the scan. Sharded state needs the
    compiler's sums: None.
    """
    return None if shard_state else AXIS


def psum(tree: Any, axis_name: str | None) -> Any:
    """Sums over devices; the identity under jit, where sums are global already."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def all_gather(tree: Any, axis_name: str | None) -> Any:
    """Joins the devices' parts of each array along its first axis."""
    if axis_name is None:
        return tree
    return jax.lax.all_gather(tree, axis_name, tiled=True)


@dataclasses.dataclass(frozen=True)
class OverMesh:
    """jit over a mesh: the batch is split, parameters are replicated or split too."""

    mesh: jax.sharding.Mesh
    shard_state: bool = False  # split large parameters and optimizer state

    def describe(self) -> str:
        """Says how it spreads, for people."""
        axes = ", ".join(f"{name} {size}" for name, size in self.mesh.shape.items())
        split = "split over them" if self.shard_state else "whole on each device"
        return f"{axes}; parameters and optimizer state {split}"

    def state_sharding(self, abstract_state: Any) -> Any:
        """Returns the sharding of each array of a state."""
        return jax.tree.map(self._array_sharding, abstract_state)

    def _array_sharding(self, x) -> NamedSharding:
        spec: list[str | None] = [None] * x.ndim
        if self.shard_state and x.size >= WORTH_SHARDING:
            # The largest axis that divides evenly; replicated where there is none.
            axes = [a for a in range(x.ndim) if x.shape[a] % self.mesh.size == 0]
            if axes:
                spec[max(axes, key=lambda a: x.shape[a])] = AXIS
        return NamedSharding(self.mesh, PartitionSpec(*spec))

    def initialize(self, init: Callable[[], Any]) -> Any:
        """Runs `init` so that each array is made where it will live."""
        sharding = self.state_sharding(jax.eval_shape(init))
        return jax.jit(init, out_shardings=sharding)()

    def abstract_state(self, init: Callable[[], Any]) -> Any:
        """Returns shapes, types and shardings to restore a state into."""
        shapes = jax.eval_shape(init)
        return jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
            shapes,
            self.state_sharding(shapes),
        )

    def abstract_batch(self, shapes: Any) -> Any:
        """Adds the sharding of a global batch to its shapes."""
        sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes
        )

    def place_batch(self, batch: Any) -> Any:
        """Makes global arrays of this process's part of a batch."""
        sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
            batch,
        )

    def compile_update(self, update: Callable) -> jax.stages.Wrapped:
        """Compiles (state, batch) -> (state, sums); the state's memory is reused."""
        step = functools.partial(update, axis_name=update_axis(self.shard_state))
        if not self.shard_state:
            whole, split = PartitionSpec(), PartitionSpec(AXIS)
            step = jax.shard_map(
                step,
                mesh=self.mesh,
                in_specs=(whole, split),
                out_specs=whole,
                check_vma=False,  # the sums over devices are explicit
            )
        return jax.jit(step, donate_argnums=0)

    def compile_eval(self, function: Callable) -> Callable:
        """Compiles (state, batch) -> arrays that every process gets whole."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        return jax.jit(functools.partial(function, axis_name=None), out_shardings=whole)

    def to_save(self, state: Any) -> Any:
        """Returns the state as checkpoints hold it."""
        return state

    def from_saved(self, state: Any) -> Any:
        """Places a state as `to_save` gave it."""
        # A copy, as training donates its state and the caller may keep this one.
        return jax.device_put(state, self.state_sharding(state), may_alias=False)


@dataclasses.dataclass(frozen=True)
class OverPmap:
    """pmap: every device holds a whole state and a part of the batch."""

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


def make_parallel(compile_with: str, shard_state: bool = False) -> OverMesh | OverPmap:
    """Returns how to compile: "jit" or "pmap", over all visible devices.

    Raises:
      ValueError: another word, or pmap with a sharded state.
    """
    if compile_with == "jit":
        return OverMesh(make_mesh(), shard_state)
    if compile_with == "pmap":
        if shard_state:
            raise ValueError("shard_state=True needs compile='jit': pmap replicates.")
        return OverPmap()
    raise ValueError(f"compile='{compile_with}' is unknown: use 'jit' or 'pmap'.")


def check_batch_size(
    name: str, batch_size: int, accumulate: int = 1, devices: int | None = None
) -> None:
    """Raises ValueError unless a global batch splits evenly over `devices`, or all."""
    devices = devices or jax.device_count()
    parts = devices * accumulate
    if batch_size < 1:
        raise ValueError(f"{name}={batch_size} must be 1 or more.")
    if batch_size % parts:
        by = f"{devices} devices" + (
            f" x {accumulate} accumulated parts" if accumulate > 1 else ""
        )
        raise ValueError(
            f"{name}={batch_size} is not divisible by {by}: choose a multiple of "
            f"{parts}."
        )
