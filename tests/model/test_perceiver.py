"""A whole Perceiver, and its parts around the latents' Transformer."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import all_shapes
from judge import normal, random_like

from perceiver_jax.model import attention, perceiver, position, processor

WIDTH, CHANNELS = 8, 6
make_self = functools.partial(attention.SelfAttention, 2)
make_cross = functools.partial(attention.CrossAttention, 1)


def random_params_of(module, *args):
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *args))
    return random_like(shapes, scale=0.4)


def whole_model(head, num_cross=2):
    encoder = perceiver.Encoder(3, WIDTH, make_cross)
    process = processor.IterativeProcessor(2, 1, make_self, num_cross, make_cross)
    return perceiver.Perceiver(encoder, process, head)


def test_pixels_and_learned_positions_may_be_permuted_together():
    pixels, order = normal(2, 12, 3), np.random.default_rng(0).permutation(12)

    def model(pixels):
        table = position.LearnedPosition((3, 4), 3)((3, 4))
        inputs = jnp.concatenate([pixels, jnp.stack([table] * 2)], axis=-1)
        return whole_model(perceiver.MeanPool(5))(inputs)

    module = hk.transform(model)
    params = random_params_of(module, pixels)
    apply = jax.jit(lambda params, pixels: module.apply(params, None, pixels))
    expected = apply(params, pixels)
    table = params["learned_position"]["table"]
    moved = {**params, "learned_position": {"table": table[order]}}
    np.testing.assert_allclose(apply(moved, pixels[:, order]), expected, atol=1e-4)
    assert np.abs(apply(params, pixels[:, order]) - expected).max() > 1e-2


def test_masked_inputs_and_queries_do_not_reach_the_outputs_of_others():
    inputs, queries = normal(2, 9, CHANNELS), normal(2, 4, 5, seed=1)
    input_mask = np.arange(9) < np.array([[6], [9]])
    query_mask = np.arange(4) < np.array([[4], [2]])

    def model(*args):
        decoder = perceiver.Decoder(make_cross, output_channels=3)
        return whole_model(decoder)(*args)

    module = hk.transform(model)
    args = (inputs, queries, input_mask, query_mask)
    params = random_params_of(module, *args)
    apply = jax.jit(lambda *args: module.apply(params, None, *args))
    outputs = apply(*args)
    assert outputs.shape == (2, 4, 3)
    noise = np.where(input_mask[..., None], inputs, 100.0)
    np.testing.assert_array_equal(apply(noise, *args[1:]), outputs)
    noise = np.where(query_mask[..., None], queries, 100.0)
    same = apply(inputs, noise, input_mask, query_mask)
    np.testing.assert_array_equal(same[query_mask], outputs[query_mask])


@pytest.mark.parametrize("num_queries", [32, 37])  # with and without padding
@pytest.mark.parametrize(("remat", "query_batch"), [(False, 1), (True, 2)])
def test_decoding_in_chunks_changes_nothing_but_memory(num_queries, remat, query_batch):
    """Neither outputs nor gradients; and no array of all queries by all latents."""

    def decode(latents, queries, mask, query_chunk):
        cross_attention = functools.partial(attention.CrossAttention, num_heads=2)
        decoder = perceiver.Decoder(
            cross_attention, 3, query_chunk=query_chunk, remat=remat
        )
        return decoder(latents, queries, mask)

    latents, queries = normal(2, 24, 8), normal(query_batch, num_queries, 6, seed=1)
    mask = np.arange(num_queries) < np.array([[num_queries], [20]])
    module = hk.without_apply_rng(hk.transform(decode))
    params = random_params_of(module, latents, queries, mask, 0)

    def loss(params, latents, queries, query_chunk):
        outputs = module.apply(params, latents, queries, mask, query_chunk)
        return (outputs**2).sum(), outputs

    gradient = jax.grad(loss, (0, 1, 2), has_aux=True)
    compiled = jax.jit(gradient, static_argnums=3)
    whole, in_chunks = (compiled(params, latents, queries, n) for n in (0, 8))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4, rtol=1e-4),
        whole,
        in_chunks,
    )

    def largest(query_chunk):
        traced = jax.make_jaxpr(gradient, static_argnums=3)
        shapes = all_shapes(traced(params, latents, queries, query_chunk).jaxpr)
        return max(map(np.prod, shapes))

    scores = 2 * 2 * num_queries * 24
    assert largest(8) < scores <= largest(0)


def test_mean_pool_is_a_linear_map_of_the_mean_latent():
    latents = normal(2, 3, WIDTH)
    module = hk.transform(lambda x: perceiver.MeanPool(5)(x))
    params = random_params_of(module, latents)
    w, b = (params["mean_pool/output"][name] for name in "wb")
    expected = latents.mean(1, keepdims=True) @ w + b
    np.testing.assert_allclose(module.apply(params, None, latents), expected, atol=1e-5)


def test_learned_queries_serve_every_example_alike():
    latents = normal(3, 3, WIDTH)
    latents[1] = latents[0]

    def decode(latents):
        queries = perceiver.LearnedQueries(4, 5)()
        assert queries.shape == (1, 4, 5)
        return perceiver.Decoder(make_cross)(latents, queries)

    module = hk.transform(decode)
    params = random_params_of(module, latents)
    outputs = jax.jit(module.apply)(params, None, latents)
    assert outputs.shape == (3, 4, 5)
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-6)
    assert np.abs(outputs[2] - outputs[0]).max() > 0.1
