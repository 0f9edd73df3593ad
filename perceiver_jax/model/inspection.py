"""What a model attends to, seen from outside: the model itself is not touched.

    maps = jax.jit(functools.partial(attention_maps, forward))(variables, batch)
    maps["encoder/cross_attention/attention"]  # [B, heads, N, M]

Of a Perceiver these are the encoder's and the decoder's cross-attention, and others
only where no scan repeats them.
"""

import contextlib
from collections.abc import Iterator

import haiku as hk
import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.task import Batch
from perceiver_jax.model.attention import MultiHeadAttention

Maps = dict[str, jax.Array]  # module name to [B, heads, N, M]; rows sum to 1, or are 0


def attention_maps(
    forward: hk.TransformedWithState, variables: Variables, batch: Batch
) -> Maps:
    """Returns the attention maps of a forward pass, a pure function to jit or not.

    Args:
      forward: the model, of forward.make_forward.
      variables: its parameters and state.
      batch: few examples: a map holds B * heads * N * M float32 numbers, which
        `kernel.attend` never holds for large M.

    Returns:
      Module name to [B, heads, N, M].
    """
    with record() as maps:
        forward.apply(*variables, None, batch, False)
    return maps


@contextlib.contextmanager
def record() -> Iterator[Maps]:
    """Collects the map of every attention that runs inside.

    Attentions inside a scan, a remat or a jit of their own are left out: what such a
    program computes can't be had from outside of it.
    """
    maps: Maps = {}
    outside = get_opaque_trace_state()

    def keep(next_call, args, kwargs, context):
        module = context.module
        if (
            isinstance(module, MultiHeadAttention)
            and context.method_name == "__call__"
            and get_opaque_trace_state() == outside
        ):
            name = module.module_name
            if name in maps:
                raise ValueError(
                    f"{name} ran twice: record each call of the model by itself."
                )
            maps[name] = _map(module, *args, **kwargs)
        return next_call(*args, **kwargs)

    with hk.intercept_methods(keep):
        yield maps


def _map(module, query, inputs, input_mask=None, query_mask=None):
    """The arguments of MultiHeadAttention, to the weights with which it mixes."""
    weights = module.weights(query, inputs, input_mask)
    if query_mask is None:
        return weights
    return jnp.where(query_mask[:, None, :, None], weights, 0.0)
