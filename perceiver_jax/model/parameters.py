"""What a parameter is, said where it is made, together with its first value.

    w = hk.get_parameter("w", [8, 3], init=parameters.matrix(w_init))
    hk.Conv2D(64, 7, with_bias=False, w_init=parameters.matrix(w_init))

`describe` reads it back for a whole model, for optimizers and tables of parameters.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax


class Kind(enum.Enum):
    """What a parameter does."""

    MATRIX = "a linear map or a convolution"
    BIAS = "added to outputs"
    NORM = "scale or offset of a normalisation"
    TABLE = "learned rows: latents, queries, positions, embeddings"


class Split(NamedTuple):
    """How devices may share a parameter (tensor parallelism): along one axis."""

    axis: int  # from the end, as stacks add axes at the front
    pieces: int  # what is shared out whole: heads, or hidden channels


@dataclasses.dataclass(frozen=True)
class Start:
    """An initialiser that says what kind of parameter it starts."""

    kind: Kind
    init: hk.initializers.Initializer
    split: Split | None = None  # None: every device has it whole

    def __call__(self, shape: Any, dtype: Any) -> jax.Array:
        """Returns the first value, of this shape and type."""
        return self.init(shape, dtype)


def matrix(init: hk.initializers.Initializer, split: Split | None = None) -> Start:
    """The start of a linear map or a convolution."""
    return Start(Kind.MATRIX, init, split)


def bias(init: hk.initializers.Initializer, split: Split | None = None) -> Start:
    """The start of a bias."""
    return Start(Kind.BIAS, init, split)


def norm(init: hk.initializers.Initializer) -> Start:
    """The start of a normalisation's scale or offset."""
    return Start(Kind.NORM, init)


def table(init: hk.initializers.Initializer) -> Start:
    """The start of learned rows."""
    return Start(Kind.TABLE, init)


class Parameter(NamedTuple):
    """What a parameter is."""

    kind: Kind
    layer_axes: int  # how many leading axes count layers: those that stacks added
    split: Split | None = None


Parameters = Mapping[str, Mapping[str, Parameter]]  # {module: {name: ...}}, as Haiku's


def describe(forward: Callable[[Any, bool], Any], batch: Any) -> Parameters:
    """Returns what each parameter of a model is. Nothing is computed.

    Args:
      forward: a Haiku function of (batch, is_training).
      batch: arrays or jax.ShapeDtypeStructs.

    Raises:
      ValueError: a parameter was made without saying what it is.
    """
    made: dict[str, tuple[Start, int]] = {}  # "module/name" to start, axes of a layer

    def note(next_creator, shape, dtype, init, context):
        name = f"{context.lifted_prefix_name or ''}{context.full_name}"
        start = context.original_init
        if not isinstance(start, Start):
            raise ValueError(
                f"What is {name}? Make it with init=parameters.matrix(...), bias(...), "
                "norm(...) or table(...) of perceiver_jax/model/parameters.py."
            )
        made[name] = start, len(context.original_shape)
        return next_creator(shape, dtype, init)

    def noted(batch):
        with hk.custom_creator(note):
            return forward(batch, True)

    init = hk.transform_with_state(noted).init
    shapes, _ = jax.eval_shape(init, jax.random.key(0), batch)

    def parameter(name, shape):
        start, axes = made[name]
        return Parameter(start.kind, len(shape) - axes, start.split)

    return {
        module: {n: parameter(f"{module}/{n}", x.shape) for n, x in arrays.items()}
        for module, arrays in shapes.items()
    }


def decays(described: Parameters, decay_tables: bool) -> dict[str, dict[str, bool]]:
    """Returns whether weight decay covers each parameter.

    It covers matrices, and no bias and no norm; decay_tables: whether it covers tables.
    """
    covered = {Kind.MATRIX, Kind.TABLE} if decay_tables else {Kind.MATRIX}
    return {
        module: {name: parameter.kind in covered for name, parameter in of_it.items()}
        for module, of_it in described.items()
    }


def layer_axes(described: Parameters) -> dict[str, dict[str, int]]:
    """Returns how many leading axes of each parameter count layers."""
    return {
        module: {name: parameter.layer_axes for name, parameter in of_it.items()}
        for module, of_it in described.items()
    }


def splits(described: Parameters) -> dict[str, dict[str, Split | None]]:
    """Returns how devices may share each parameter."""
    return {
        module: {name: parameter.split for name, parameter in of_it.items()}
        for module, of_it in described.items()
    }
