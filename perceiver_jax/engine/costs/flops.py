"""FLOPs of a function, counted from shapes alone, before any step has run."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params

from perceiver_jax.engine.task import Model


class Size(NamedTuple):
    """How large a model is."""

    parameters: int
    flops: int  # of a forward pass of one example, as `count_flops` has them


def model_size(model: Model) -> Size:
    """Counts the parameters of a model, and the FLOPs of one example."""
    forward = hk.transform_with_state(model.forward)
    batch = model.batch(1)
    params, state = jax.eval_shape(
        lambda key, batch: forward.init(key, batch, True), jax.random.key(0), batch
    )
    flops = count_flops(
        lambda *args: forward.apply(*args, is_training=False)[0],
        *(params, state, None, batch),
    )
    return Size(sum(x.size for x in jax.tree.leaves(params)), flops)


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Counts the FLOPs of the matrix products and convolutions in `function`.

    A multiply and an add are two FLOPs, as in both papers. Loops count by their length,
    the larger branch of a `cond` counts, a `pallas_call` counts on its whole grid, and
    a `shard_map` or `pmap` on all its devices: the result is for the whole batch. A
    convolution counts full windows, padding included.

    Not seen: a `while_loop` has no length, so its body counts once; kernels inside a
    custom call (cuDNN attention) count nothing.

    Args:
      function: any function that JAX can trace: a forward pass, a whole update.
      *args: its arguments; `jax.ShapeDtypeStruct`s are enough.
    """
    return _jaxpr_flops(jax.make_jaxpr(function)(*args).jaxpr)


def _jaxpr_flops(jaxpr: Jaxpr) -> int:
    return sum(_equation_flops(equation) for equation in jaxpr.eqns)


def _equation_flops(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        left: Any = equation.invars[0].aval
        output: Any = equation.outvars[0].aval
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * output.size * math.prod(left.shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel: Any = equation.invars[1].aval
        output = equation.outvars[0].aval
        terms = kernel.size // kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        # The gradient of a strided convolution spreads its input out with holes; only
        # one position in prod(lhs_dilation) holds a number to multiply.
        holes = math.prod(params["lhs_dilation"])
        return 2 * output.size * terms // holes
    inner = [_jaxpr_flops(jaxpr) for jaxpr in jaxprs_in_params(params)]
    if name == "cond":
        return max(inner)
    return _repeats(name, params) * sum(inner)


def _repeats(name: str, params: dict[str, Any]) -> int:
    """How often an equation runs the program that it holds."""
    if name == "scan":
        return params["length"]
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid)
    if name == "shard_map":
        mesh = params["mesh"]
        return math.prod(mesh.shape[axis] for axis in params["newly_manual_axes"])
    return 1
