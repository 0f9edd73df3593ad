"""What a model attends to, seen from outside: the model's code knows nothing of it.

    maps = jax.jit(functools.partial(attention_maps, forward))(params, state, batch)
    maps["encoder/cross_attention/attention"]  # [B, heads, N, M]

Of a Perceiver these are the encoder's and the decoder's cross-attention: self-attends
and repeated cross-attends run inside scans, which can't be looked into.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from perceiver_jax.model.attention import MultiHeadAttention

Maps = dict[str, jax.Array]  # module name to [B, heads, N, M]; rows sum to 1, or are 0


def attention_maps(
    forward: hk.TransformedWithState, params: hk.Params, state: hk.State, batch: Any
) -> Maps:
    """Returns the attention maps of a forward pass; may be jitted.

    Args:
      forward: the model, a function of (batch, is_training).
      params: its parameters.
      state: its state.
      batch: of few examples: a map holds B * heads * N * M float32 numbers, which
        `kernel.attend` never holds for large M.

    Returns:
      Module name to [B, heads, N, M].
    """
    with record() as maps:
        forward.apply(params, state, None, batch, False)
    return maps


@contextlib.contextmanager
def record() -> Iterator[Maps]:
    """Collects the map of every attention that runs inside.

    Attentions inside a scan, a remat or a jit of their own are left out: from outside
    of such a program, what it computes can't be had.
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
    """Maps the arguments of MultiHeadAttention to its attention weights."""
    weights = module.weights(query, inputs, input_mask)
    if query_mask is None:
        return weights
    return jnp.where(query_mask[:, None, :, None], weights, 0.0)
