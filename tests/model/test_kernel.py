"""The kernel of attention: whole or in chunks, in float32 or not, masked or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import all_shapes
from judge import normal, numpy_attend, numpy_weights

from perceiver_jax.model import kernel

MASK = np.random.default_rng(7).random((2, 21)) < 0.6


@pytest.mark.parametrize(
    ("query_batch", "key_heads", "value_heads", "mask"),
    [
        (2, 3, 3, None),
        (1, 3, 3, MASK),
        (2, 1, 3, MASK),
        (2, 3, 1, MASK),
        (1, 1, 1, None),
    ],
)
def test_attend_is_softmax_attention(query_batch, key_heads, value_heads, mask):
    query = normal(query_batch, 5, 3, 4, seed=1)
    key = normal(2, 21, key_heads, 4, seed=2)
    value = normal(2, 21, value_heads, 6, seed=3)
    outputs = jax.jit(kernel.attend)(query, key, value, mask)
    expected = numpy_attend(query, key, value, mask)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


# Two equal chunks, four smaller ones rather than padding, and three that need it.
@pytest.mark.parametrize(
    ("num_keys", "query_batch", "masked"),
    [(16, 2, False), (20, 1, True), (19, 1, False), (19, 2, True), (17, 2, False)],
)
def test_visiting_keys_in_chunks_changes_nothing(
    monkeypatch, num_keys, query_batch, masked
):
    arrays = (
        normal(query_batch, 5, 3, 4, seed=1),
        normal(2, num_keys, 1, 4, seed=2),
        normal(2, num_keys, 3, 6, seed=3),
    )
    mask = MASK[:, :num_keys] if masked else None
    target = normal(2, 5, 3, 6, seed=4)

    def loss(arrays):
        outputs = kernel.attend(*arrays, mask)
        return (outputs * target).sum(), outputs

    gradient = lambda: jax.jit(jax.grad(lambda *x: loss(*x), has_aux=True))(arrays)
    dense_gradients, dense = gradient()
    monkeypatch.setattr(kernel, "KEY_CHUNK", 8)
    assert "scan" in str(jax.make_jaxpr(loss)(arrays))
    gradients, outputs = gradient()
    np.testing.assert_allclose(outputs, dense, atol=1e-5)
    np.testing.assert_allclose(outputs, numpy_attend(*arrays, mask), atol=1e-5)
    for gradient, expected in zip(gradients, dense_gradients):
        np.testing.assert_allclose(gradient, expected, atol=2e-5)


@pytest.mark.parametrize(("key_chunk", "max_scores"), [(64, 2**30), (4096, 2**13)])
def test_chunks_never_hold_all_scores(monkeypatch, key_chunk, max_scores):
    monkeypatch.setattr(kernel, "KEY_CHUNK", key_chunk)
    monkeypatch.setattr(kernel, "MAX_SCORES", max_scores)
    query, key = normal(1, 64, 2, 4), normal(1, 512, 2, 4)
    loss = lambda query: kernel.attend(query, key, key).sum()
    for function in (loss, jax.grad(loss)):
        shapes = all_shapes(jax.make_jaxpr(function)(query).jaxpr)
        assert max(map(np.prod, shapes)) < 64 * 512


@pytest.mark.parametrize("key_chunk", [4096, 8])
def test_rows_without_keys_are_zero_with_finite_gradients(monkeypatch, key_chunk):
    monkeypatch.setattr(kernel, "KEY_CHUNK", key_chunk)
    query, key, value = (normal(2, n, 3, 4, seed=n) for n in (5, 21, 21))
    mask = MASK.copy()
    mask[1] = False

    def loss(query, key, value):
        outputs = kernel.attend(query, key, value, mask)
        return (outputs**2).sum(), outputs

    gradient = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))
    gradients, outputs = gradient(query, key, value)
    np.testing.assert_array_equal(outputs[1], 0)
    assert np.abs(outputs[0]).max() > 0.1
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(gradient[1], 0)


@pytest.mark.parametrize("key_chunk", [4096, 8])
def test_bfloat16_inputs_have_a_float32_softmax(monkeypatch, key_chunk):
    monkeypatch.setattr(kernel, "KEY_CHUNK", key_chunk)
    # Scores around 64, where neighbours in bfloat16 are half a unit apart.
    query = np.full((1, 3, 1, 4), 4.0) + normal(1, 3, 1, 4, seed=1, scale=0.1)
    key = np.full((1, 21, 1, 4), 4.0) + normal(1, 21, 1, 4, seed=2, scale=0.1)
    value = normal(1, 21, 1, 6, seed=3)
    low = [jnp.asarray(x, jnp.bfloat16) for x in (query, key, value)]
    same_values = [np.float32(x) for x in low]

    weights = jax.jit(kernel.attention_weights)(*low[:2])
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights, numpy_weights(*same_values[:2]), rtol=1e-3)
    outputs = jax.jit(lambda *x: kernel.attend(*x))(*low)
    assert outputs.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.float32(outputs), numpy_attend(*same_values), atol=1e-2
    )


@pytest.mark.parametrize(("query_batch", "heads"), [(1, 4), (2, 1)])
def test_bfloat16_gradients_are_close_to_those_of_float32(query_batch, heads):
    # One key and value for all query heads, as when projections are folded.
    arrays = (
        normal(query_batch, 5, heads, 4, seed=1),
        normal(2, 21, 1, 4, seed=2),
        normal(2, 21, 1, 6, seed=3),
    )
    low = [jnp.asarray(x, jnp.bfloat16) for x in arrays]
    loss = lambda *arrays: (jnp.float32(kernel.attend(*arrays)) ** 2).sum()
    gradient = jax.jit(jax.grad(loss, (0, 1, 2)))
    same_values = [x.astype(jnp.float32) for x in low]
    for computed, expected in zip(gradient(*low), gradient(*same_values)):
        assert computed.dtype == jnp.bfloat16
        scale = np.abs(expected).max()
        np.testing.assert_allclose(np.float32(computed), expected, atol=0.03 * scale)
