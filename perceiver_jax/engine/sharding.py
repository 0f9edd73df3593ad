"""Where arrays live and how programs are compiled, over a mesh of devices.

The batch is always split along the mesh axis "data". What else is, a word says:

replicated  nothing
fsdp        parameters and the optimizer's state, along "data" too
tensor      the matrices of the latent Transformer, along a second axis, "model"
inputs      long inputs and many queries, along a second axis, "inputs"

`OverMesh` (jit, the default) and `OverPmap` do the same for the engine: place a state
and a batch, compile a program, bring a state back. With axis_name="data" a program sees
the batch of one place along "data", and sums explicitly; with None it sees the global
batch and the compiler inserts the sums.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from perceiver_jax.engine.mesh import AXIS, SECOND_AXES, check_second_axis, make_mesh
from perceiver_jax.engine.over_pmap import OverPmap

MODES = ("replicated", "fsdp", *SECOND_AXES)
WORTH_SHARDING = 2**16  # smaller arrays cost more to gather than they save

# Of every parameter {module: {name: ...}}, the axis that "tensor" splits it along, from
# the end, and how many pieces there are to share out: heads, or hidden channels.
Splits = Mapping[str, Mapping[str, tuple[int, int] | None]]


class Process(TypedDict):
    """Which process, of how many, as loaders take it."""

    process_index: int
    process_count: int


def this_process() -> Process:
    """Returns which process this is and how many there are."""
    return Process(process_index=jax.process_index(), process_count=jax.process_count())


def update_axis(mode: str) -> str | None:
    """Returns the mesh axis that training steps, and BatchNorm, reduce over.

    Where parameters are whole, gradients are summed once, after the backward pass; the
    compiler would sum those of shared parameters in every iteration of the scan. Where
    parameters are split the sums are the compiler's: None.
    """
    return None if mode in ("fsdp", "tensor") else AXIS


def psum(tree: Any, axis_name: str | None) -> Any:
    """Sums over devices; the identity under jit, where sums are global already."""
    # Over an axis of one device, XLA fails at sums of what a second axis splits.
    if axis_name is None or jax.lax.axis_size(axis_name) == 1:
        return tree
    return jax.lax.psum(tree, axis_name)


def gather(parameter: jax.Array) -> jax.Array:
    """Makes a parameter whole that is split along "data" (fsdp), for its use.

    Left to itself, the compiler multiplies by parts of it and sums outputs: for
    Perceiver IO++ on 64 v4 chips, 200 times the bytes, and 20 GB instead of 7.
    """
    if jax.sharding.get_abstract_mesh().auto_axes != (AXIS,):
        return parameter
    return jax.lax.with_sharding_constraint(parameter, PartitionSpec())


def all_gather(tree: Any, axis_name: str | None) -> Any:
    """Joins the devices' parts of each array along its first axis."""
    if axis_name is None or jax.lax.axis_size(axis_name) == 1:
        return tree
    return jax.lax.all_gather(tree, axis_name, tiled=True)


@dataclasses.dataclass(frozen=True)
class OverMesh:
    """jit over a mesh: the batch is split, and what the mode says.

    Attributes:
      mesh: of `make_mesh`.
      mode: one of MODES.
      splits: of the parameters; "tensor" needs it.
    """

    mesh: jax.sharding.Mesh
    mode: str = "replicated"
    splits: Splits = dataclasses.field(default_factory=dict)

    @property
    def batch_parts(self) -> int:
        """How many parts a global batch is split into."""
        return self.mesh.shape[AXIS]

    def describe(self) -> str:
        """Says how it spreads, for people."""
        axes = ", ".join(f"{name} {size}" for name, size in self.mesh.shape.items())
        return f"{axes}; {self.mode}"

    def state_sharding(self, abstract_state: Any) -> Any:
        """Returns the sharding of each array of a state, or of its variables."""
        return jax.tree_util.tree_map_with_path(self._array_sharding, abstract_state)

    def _array_sharding(self, path, x) -> NamedSharding:
        spec: list[str | None] = [None] * x.ndim
        if self.mode == "fsdp" and x.size >= WORTH_SHARDING:
            # The largest axis that divides evenly; replicated where there is none.
            axes = [a for a in range(x.ndim) if x.shape[a] % self.mesh.size == 0]
            if axes:
                spec[max(axes, key=lambda a: x.shape[a])] = AXIS
        if self.mode == "tensor":
            # The path of a moment of the optimizer ends with that of its parameter.
            module, name = ("", "", *(getattr(key, "key", "") for key in path))[-2:]
            split = self.splits.get(module, {}).get(name)
            if split is not None:
                spec[split[0]] = SECOND_AXES[self.mode]
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
        axis_name = update_axis(self.mode)
        step = functools.partial(update, axis_name=axis_name)
        if axis_name is not None:
            whole, split = PartitionSpec(), PartitionSpec(AXIS)
            step = jax.shard_map(
                step,
                mesh=self.mesh,
                in_specs=(whole, split),
                out_specs=whole,
                axis_names={AXIS},  # the compiler sees to the second axis
                check_vma=False,  # the sums over devices are explicit
            )
        if self.mode == "replicated":
            return jax.jit(step, donate_argnums=0)

        def stay(state, batch):
            state, sums = step(state, batch)
            places = self.state_sharding(state)
            return jax.lax.with_sharding_constraint(state, places), sums

        return jax.jit(self._under_mesh(stay), donate_argnums=0)

    def compile_eval(self, function: Callable) -> Callable:
        """Compiles (state, batch) -> arrays that every process gets whole."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        function = functools.partial(function, axis_name=None)
        return jax.jit(self._under_mesh(function), out_shardings=whole)

    def _under_mesh(self, function: Callable) -> Callable:
        """Returns a function in which one can see which axes there are."""

        def run(state, batch):
            with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
                return function(state, batch)

        return run

    def to_save(self, state: Any) -> Any:
        """Returns the state as checkpoints hold it."""
        return state

    def from_saved(self, state: Any) -> Any:
        """Places a state as `to_save` gave it."""
        # A copy, as training donates its state and the caller may keep this one.
        return jax.device_put(state, self.state_sharding(state), may_alias=False)


def make_parallel(
    compile_with: str,
    mode: str = "replicated",
    second_axis_devices: int = 0,
    splits: Splits | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> OverMesh | OverPmap:
    """Returns how to compile, and where arrays live.

    Args:
      compile_with: "jit" or "pmap".
      mode: one of MODES.
      second_axis_devices: of "tensor" and "inputs": devices that the model, or the
        inputs, are split over; 0 for all of a process. They must be of one process,
        which then has the whole of every example that it loads.
      splits: of the parameters; "tensor" needs it.
      devices: those to use; by default all.

    Raises:
      ValueError: another word, or devices that this can't be done with.
    """
    if compile_with not in ("jit", "pmap"):
        raise ValueError(f"compile='{compile_with}' is unknown: use 'jit' or 'pmap'.")
    if mode not in MODES:
        raise ValueError(f"sharding='{mode}' is unknown: use {', '.join(MODES)}.")
    if compile_with == "pmap":
        if mode != "replicated":
            raise ValueError(f"sharding='{mode}' needs compile='jit': pmap replicates.")
        return OverPmap()
    if mode not in SECOND_AXES:
        if second_axis_devices:
            raise ValueError(
                f"sharding_devices={second_axis_devices} says nothing with sharding="
                f"'{mode}': it is for {' and '.join(SECOND_AXES)}. Leave it 0."
            )
        return OverMesh(make_mesh(devices), mode)
    devices = jax.devices() if devices is None else devices
    length = check_second_axis(devices, second_axis_devices)
    for module, of_it in (splits or {}).items() if mode == "tensor" else ():
        for name, split in of_it.items():
            if split is not None and split[1] % length:
                raise ValueError(
                    f"{module}/{name} has {split[1]} heads or channels, which "
                    f"sharding_devices={length} can't share: choose a divisor."
                )
    return OverMesh(make_mesh(devices, SECOND_AXES[mode], length), mode, splits or {})


def check_batch_size(
    name: str,
    batch_size: int,
    accumulate: int = 1,
    parallel: OverMesh | OverPmap | None = None,
) -> None:
    """Raises ValueError unless a global batch splits evenly over the devices.

    Those are all that there are, or those of `parallel`, along "data".
    """
    devices = parallel.batch_parts if parallel else jax.device_count()
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
