"""Recorded attention maps against a softmax by hand, and the model left as it is."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.model import attention, inspection, perceiver, processor

CROSS = ("encoder/cross_attention/attention", "decoder/cross_attention/attention")


def softmax_by_hand(params, query, inputs, heads):
    """[B, heads, N, M], in float64."""
    q = query @ params["attention/query"]["w"] + params["attention/query"]["b"]
    k = inputs @ params["attention/key"]["w"] + params["attention/key"]["b"]
    q, k = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k))
    scores = np.einsum("nhd,bmhd->bhnm", q[0], k) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def to_float64(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def initialize(model, batch):
    """Normal variables with no zero, which would hide the biases; nothing compiled."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), batch, False))
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)


@pytest.mark.parametrize(("heads", "num_queries"), [(1, 3), (2, 3), (4, 50)])
def test_map_is_the_softmax_of_scaled_products(heads, num_queries):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(1, num_queries, 6)).astype(np.float32)
    inputs = rng.normal(size=(2, 5, 7)).astype(np.float32)
    query_mask = rng.random((2, num_queries)) < 0.7

    def forward(batch, is_training):
        attend = attention.MultiHeadAttention(heads, 8, 8, 6, name="attention")
        return attend(query, batch, query_mask=query_mask)

    model = hk.transform_with_state(forward)
    params, state = initialize(model, inputs)
    see = jax.jit(functools.partial(inspection.attention_maps, model))
    maps = see(params, state, inputs)
    expected = softmax_by_hand(*to_float64((params, query, inputs)), heads)
    expected *= query_mask[:, None, :, None]
    np.testing.assert_allclose(maps["attention"], expected, atol=2e-5)


def make_perceiver():
    """A small model with every kind of repetition: three cross-attends, shared."""
    cross = functools.partial(attention.CrossAttention)
    self_attention = functools.partial(attention.SelfAttention, num_heads=2)

    def forward(batch, is_training):
        model = perceiver.Perceiver(
            perceiver.Encoder(4, 8, cross),
            processor.IterativeProcessor(3, 2, self_attention, 3, cross, remat=True),
            perceiver.Decoder(cross, 5),
        )
        queries = perceiver.LearnedQueries(2, 8)()
        return model(batch["x"], queries, batch["mask"], is_training=is_training)

    return hk.transform_with_state(forward)


def test_a_perceiver_is_seen_outside_scans_and_left_as_it_is():
    rng = np.random.default_rng(0)
    mask = np.array([[True] * 6, [True] * 3 + [False] * 3, [False] * 6])
    batch = {"x": rng.normal(size=(3, 6, 7)).astype(np.float32), "mask": mask}
    model = make_perceiver()

    @jax.jit
    def compare(variables):
        with inspection.record() as maps:
            outputs, _ = model.apply(*variables, None, batch, False)
        expected, _ = model.apply(*variables, None, batch, False)
        return outputs, expected, maps

    outputs, expected, maps = compare(initialize(model, batch))
    np.testing.assert_array_equal(outputs, expected)
    assert set(maps) == set(CROSS)  # none from inside a scan
    encoder, decoder = (np.asarray(maps[name]) for name in CROSS)
    assert encoder.shape == (3, 1, 4, 6) and decoder.shape == (3, 1, 2, 4)
    np.testing.assert_allclose(encoder[:2].sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(decoder.sum(-1), 1, atol=1e-6)
    assert not encoder[1, ..., 3:].any() and not encoder[2].any()


def test_two_calls_of_one_module_are_not_mixed_up():
    def forward(batch, is_training):
        attend = attention.MultiHeadAttention(1, 4, 4, 4, name="attention")
        return attend(attend(batch, batch), batch)

    model = hk.transform_with_state(forward)
    variables = initialize(model, jnp.ones((1, 3, 4)))
    with pytest.raises(ValueError, match="attention ran twice"):
        inspection.attention_maps(model, *variables, jnp.ones((1, 3, 4)))
