"""A task's forward pass as pure functions, under one precision policy."""

from collections.abc import Callable

import haiku as hk
import jax
import jmp

from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch, Outputs


def parse_policy(text: str) -> jmp.Policy:
    """Parses a policy such as "params=float32,compute=bfloat16,output=float32".

    Raises:
      ValueError: what jmp does not know, or parameters that are not kept in float32.
    """
    example = "params=float32,compute=bfloat16,output=float32"
    try:
        policy = jmp.get_policy(text)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"precision='{text}' is no policy like '{example}'") from error
    if policy.param_dtype != jax.numpy.float32:
        raise ValueError(f"precision='{text}': keep params=float32, like '{example}'")
    return policy


def make_forward(
    forward: Callable[[Batch, bool], Outputs], policy: jmp.Policy
) -> hk.TransformedWithState:
    """Returns init(rng, batch, is_training) and apply(params, state, rng, batch, ...).

    `forward` is a Haiku function, such as a task's.

    `apply` casts parameters and batch to the policy's compute type; softmax, norms'
    statistics and losses are float32 whatever it is. Parameters stay float32 outside.
    """

    def gathering(batch, is_training):
        with hk.custom_getter(_gather):
            return forward(batch, is_training)

    transformed = hk.transform_with_state(gathering)

    def apply(params, state, rng, batch, is_training):
        params, batch = policy.cast_to_compute((params, batch))
        outputs, state = transformed.apply(params, state, rng, batch, is_training)
        return policy.cast_to_output(outputs), state

    return hk.TransformedWithState(transformed.init, apply)


def _gather(next_getter, value, context):
    """Makes a parameter whole where it is used, a layer of a scan at a time."""
    del context
    return sharding.gather(next_getter(value))
