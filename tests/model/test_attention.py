"""Attention and its layers, with plain numpy in float64 as the judge."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from judge import normal, numpy_attend, random_like

from perceiver_jax.model import attention, kernel


def transform(function, *args, **kwargs):
    """Returns random parameters, and the pure function of (params, *args)."""
    module = hk.transform(function)
    params = jax.eval_shape(lambda: module.init(jax.random.key(0), *args, **kwargs))
    apply = lambda params, *args, **kwargs: module.apply(params, None, *args, **kwargs)
    return random_like(params), jax.jit(apply)


# The judge.


def numpy_linear(params, x):
    return x @ np.float64(params["w"]) + params["b"]


def numpy_norm(params, x):
    x = np.float64(x)
    centred = x - x.mean(-1, keepdims=True)
    x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return x * params["scale"] + params["offset"]


def numpy_multi_head(
    params, prefix, heads, query, inputs, input_mask=None, query_mask=None
):
    split = lambda x: x.reshape(*x.shape[:-1], heads, -1)
    q = split(numpy_linear(params[f"{prefix}/query"], query))
    k = split(numpy_linear(params[f"{prefix}/key"], inputs))
    v = split(numpy_linear(params[f"{prefix}/value"], inputs))
    mixed = numpy_attend(q / np.sqrt(q.shape[-1]), k, v, input_mask)
    if query_mask is not None:
        mixed = mixed * query_mask[:, :, None, None]
    mixed = mixed.reshape(*mixed.shape[:2], -1)
    return numpy_linear(params[f"{prefix}/output"], mixed)


def numpy_mlp(params, prefix, x):
    x = numpy_linear(params[f"{prefix}/hidden"], x)
    x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return numpy_linear(params[f"{prefix}/output"], x)


def numpy_cross_attention(params, heads, query, inputs, query_residual):
    name = "cross_attention"
    x = numpy_multi_head(
        params,
        f"{name}/attention",
        heads,
        numpy_norm(params[f"{name}/query_norm"], query),
        numpy_norm(params[f"{name}/input_norm"], inputs),
    )
    if query_residual:
        x = query + x
    return x + numpy_mlp(
        params, f"{name}/mlp", numpy_norm(params[f"{name}/mlp_norm"], x)
    )


# Multi-head attention.

# Sizes for which keys and values are made first, or projected after, or one of each.
SIZES = {
    # num_heads, qk_channels, v_channels, N, M, C: keys folded, values folded
    "project first": (4, 8, 8, 12, 9, 16, False, False),
    "project after": (1, 4, 4, 3, 9, 5, True, True),
    "keys after": (2, 32, 4, 3, 9, 16, True, False),
    "values after": (2, 4, 32, 3, 9, 16, False, True),
}


@pytest.fixture(params=SIZES)
def sizes(request):
    heads, qk, v, num_queries, num_inputs, channels, *folded = SIZES[request.param]
    decisions = [
        attention._project_after(num_queries, num_inputs, channels, width // heads)
        for width in (qk, v)
    ]
    assert decisions == folded
    return heads, qk, v, num_queries, num_inputs, channels


@pytest.mark.parametrize(("masked", "query_batch"), [(False, 1), (True, 2)])
def test_projecting_before_or_after_gives_the_same(sizes, query_batch, masked):
    heads, qk, v, num_queries, num_inputs, channels = sizes
    query = normal(query_batch, num_queries, 7, seed=1)
    inputs = normal(2, num_inputs, channels, seed=2)
    input_mask = query_mask = None
    if masked:
        input_mask = np.arange(num_inputs) < np.array([[num_inputs - 2], [0]])
        query_mask = np.arange(num_queries) < np.array([[2], [1]])

    def attend(*args):
        return attention.MultiHeadAttention(heads, qk, v, 11)(*args)

    args = (query, inputs, input_mask, query_mask)
    params, apply = transform(attend, *args)
    outputs = apply(params, *args)
    expected = numpy_multi_head(params, "multi_head_attention", heads, *args)
    np.testing.assert_allclose(outputs, expected, atol=3e-5)
    if masked:
        bias = params["multi_head_attention/output"]["b"]
        np.testing.assert_array_equal(outputs[1], np.tile(bias, (num_queries, 1)))


@pytest.mark.parametrize("sizes", ["project first", "keys after"], indirect=True)
def test_gradients_do_not_depend_on_when_the_projection_happens(sizes, monkeypatch):
    heads, qk, v, num_queries, num_inputs, channels = sizes
    query = normal(2, num_queries, 7, seed=1)
    inputs = normal(2, num_inputs, channels, seed=2)
    mask = np.arange(num_inputs) < np.array([[num_inputs - 2], [3]])
    attend = lambda *args: attention.MultiHeadAttention(heads, qk, v, 11)(*args)

    def gradients():
        params, apply = transform(attend, query, inputs, mask)
        loss = lambda *args: (apply(*args, mask) ** 2).mean()
        return jax.jit(jax.grad(loss, (0, 1, 2)))(params, query, inputs)

    chosen = gradients()
    decide = attention._project_after
    monkeypatch.setattr(attention, "_project_after", lambda *args: not decide(*args))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), chosen, gradients()
    )


def test_weights_are_those_that_the_values_are_mixed_with(sizes):
    heads, qk, v, num_queries, num_inputs, channels = sizes
    query = normal(1, num_queries, 7, seed=1)
    inputs = normal(2, num_inputs, channels, seed=2)
    mask = np.arange(num_inputs) < np.array([[num_inputs], [4]])

    def attend_and_look(query, inputs, mask):
        module = attention.MultiHeadAttention(heads, qk, v, 11)
        return module(query, inputs, mask), module.weights(query, inputs, mask)

    params, apply = transform(attend_and_look, query, inputs, mask)
    assert len(params) == 4, "both calls use the same four projections"
    outputs, weights = apply(params, query, inputs, mask)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(weights[1, :, :, 4:], 0)
    name = "multi_head_attention"
    value = numpy_linear(params[f"{name}/value"], inputs)
    value = value.reshape(2, num_inputs, heads, -1)
    mixed = [
        [np.float64(weights[b, h]) @ value[b, :, h] for h in range(heads)]
        for b in range(2)
    ]
    mixed = np.moveaxis(np.array(mixed), 1, 2).reshape(2, num_queries, v)
    expected = numpy_linear(params[f"{name}/output"], mixed)
    np.testing.assert_allclose(outputs, expected, atol=3e-5)


@pytest.mark.parametrize("key_chunk", [4096, 4])
@pytest.mark.parametrize("sizes", ["project first", "project after"], indirect=True)
def test_masked_inputs_cannot_change_outputs(sizes, key_chunk, monkeypatch):
    monkeypatch.setattr(kernel, "KEY_CHUNK", key_chunk)
    heads, _, _, num_queries, num_inputs, channels = sizes
    width = channels - channels % heads
    query, inputs = normal(2, num_queries, 7), normal(2, num_inputs, channels, seed=1)
    mask = np.arange(num_inputs) < np.array([[5], [num_inputs]])
    attend = lambda *args: attention.CrossAttention(heads, width, width)(*args)
    params, apply = transform(attend, query, inputs, mask)
    other = inputs.copy()
    other[0, 5:] = 1e3 * normal(num_inputs - 5, channels, seed=2)
    outputs = apply(params, query, inputs, mask)
    np.testing.assert_array_equal(apply(params, query, other, mask), outputs)


def test_masked_queries_attend_to_nothing():
    query, inputs = normal(2, 4, 6), normal(2, 9, 5, seed=1)
    query_mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    attend = lambda *args: attention.CrossAttention(1, 4, 4)(*args)
    params, apply = transform(attend, query, inputs, None, query_mask)
    outputs = apply(params, query, inputs, None, query_mask)
    unmasked = apply(params, query, inputs)
    np.testing.assert_allclose(outputs[query_mask], unmasked[query_mask], atol=1e-5)
    elsewhere = apply(params, query, inputs + 1.0, None, query_mask)
    np.testing.assert_array_equal(outputs[~query_mask], elsewhere[~query_mask])
    assert np.abs(outputs[~query_mask] - unmasked[~query_mask]).max() > 0.1


@pytest.mark.parametrize(
    ("widths", "message"),
    [((10, 8), "qk_channels=10 .* num_heads=4"), ((8, 6), "v_channels=6 .*_heads=4")],
)
def test_channels_that_heads_do_not_divide_are_named(widths, message):
    build = hk.transform(lambda: attention.MultiHeadAttention(4, *widths, 5))
    with pytest.raises(ValueError, match=message):
        build.init(jax.random.key(0))


# Norm, MLP and layers.


def test_layer_norm_has_eps_and_float32_statistics():
    # A variance as small as eps, so that eps is seen.
    inputs = normal(3, 16, seed=1, scale=3e-3)
    norm = lambda x: attention.LayerNorm()(x)
    params, apply = transform(norm, inputs)
    expected = numpy_norm(params["layer_norm"], inputs)
    np.testing.assert_allclose(apply(params, inputs), expected, atol=1e-5)

    low = jnp.asarray(normal(3, 256, seed=2) + 30.0, jnp.bfloat16)
    params, apply = transform(norm, low)
    outputs = apply(params, low)
    assert outputs.dtype == jnp.bfloat16
    expected = numpy_norm(params["layer_norm"], np.float32(low))
    np.testing.assert_allclose(np.float32(outputs), expected, atol=1e-2)


def test_mlp_has_a_tanh_gelu_and_widens():
    inputs = normal(2, 3, 6, scale=2.0)
    params, apply = transform(lambda x: attention.Mlp(4)(x), inputs)
    assert params["mlp/hidden"]["w"].shape == (6, 24)
    # The exact GELU is off by up to 5e-4 for each of the 24 hidden channels.
    expected = numpy_mlp(params, "mlp", inputs)
    np.testing.assert_allclose(apply(params, inputs), expected, atol=2e-5)


@pytest.mark.parametrize("query_residual", [True, False])
def test_cross_attention_layer(query_residual):
    query, inputs = normal(1, 4, 6), normal(2, 9, 5, seed=1)

    def attend(query, inputs):
        module = attention.CrossAttention(query_residual=query_residual)
        return module(query, inputs)

    params, apply = transform(attend, query, inputs)
    expected = numpy_cross_attention(params, 1, query, inputs, query_residual)
    np.testing.assert_allclose(apply(params, query, inputs), expected, atol=1e-4)
    for name in ("query", "key", "value"):
        width = params[f"cross_attention/attention/{name}"]["b"].shape
        assert width == (5,), "as wide as the inputs by default"


def test_self_attention_layer():
    inputs = normal(2, 5, 8)
    mask = np.array([[1, 1, 1, 0, 0], [1] * 5], bool)
    attend = lambda x, mask: attention.SelfAttention(2, widening_factor=3)(x, mask)
    params, apply = transform(attend, inputs, mask)
    normed = numpy_norm(params["self_attention/attention_norm"], inputs)
    x = inputs + numpy_multi_head(
        params, "self_attention/attention", 2, normed, normed, mask, mask
    )
    normed = numpy_norm(params["self_attention/mlp_norm"], x)
    expected = x + numpy_mlp(params, "self_attention/mlp", normed)
    np.testing.assert_allclose(apply(params, inputs, mask), expected, atol=1e-4)


@pytest.fixture(params=["self", "cross"])
def dropout_layer(request):
    """The kind of layer, its parameters, and (params, seed, x) -> outputs."""

    def layer(x, is_training):
        if request.param == "self":
            module = attention.SelfAttention(2, dropout_rate=0.5)
            return module(x, is_training=is_training)
        module = attention.CrossAttention(2, dropout_rate=0.5)
        return module(x, x, is_training=is_training)

    module = hk.transform(layer)
    init = lambda: module.init(jax.random.key(0), normal(2, 5, 8), True)
    train = jax.jit(lambda params, key, x: module.apply(params, key, x, True))
    # Without a key: there is no randomness to use.
    evaluate = jax.jit(lambda params, x: module.apply(params, None, x, False))
    return request.param, random_like(jax.eval_shape(init)), train, evaluate


def test_dropout_is_given_by_its_key_and_leaves_residuals_alone(dropout_layer):
    kind, params, train, evaluate = dropout_layer
    x = normal(2, 5, 8)
    first, again, other = (train(params, jax.random.key(n), x) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1

    for silent in ("attention", "mlp"):
        output = f"{kind}_attention/{silent}/output"
        zeros = jax.tree.map(np.zeros_like, params[output])
        one_branch = {**params, output: zeros}
        branch = np.asarray(evaluate(one_branch, x)) - x
        dropped = np.asarray(train(one_branch, jax.random.key(1), x)) - x
        gone = np.isclose(dropped, 0, atol=1e-5)
        doubled = np.isclose(dropped, 2 * branch, atol=1e-4)
        assert (gone | doubled).all()
        assert 0.3 < gone.mean() < 0.7
