"""A forward pass under a precision policy."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.engine.forward import make_forward, parse_policy

BATCH = {"x": np.ones((2, 3), np.float32), "n": np.array([1, 2], np.int32)}


def test_forward_computes_in_the_policy_s_type_and_keeps_parameters():
    seen = {}

    def forward(batch, is_training):
        seen.update(x=batch["x"].dtype, n=batch["n"].dtype, training=is_training)
        return hk.Linear(4)(batch["x"])

    policy = parse_policy("params=float32,compute=bfloat16,output=float32")
    made = make_forward(forward, policy)
    params, state = made.init(jax.random.key(0), BATCH, True)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
    outputs, _ = made.apply(params, state, None, BATCH, False)
    assert outputs.dtype == jnp.float32
    assert seen == {"x": jnp.bfloat16, "n": jnp.int32, "training": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compute=bfloat17", "precision='compute=bfloat17' is no policy like"),
        ("16", "precision='16'"),
        ("params=bfloat16", "keep params=float32"),
    ],
)
def test_bad_policies_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_policy(text)
