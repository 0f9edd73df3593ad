"""The text models: sizes as the paper's, and what padding may not change."""

import haiku as hk
import jax
import numpy as np
import pytest
import small_text

from configs import masked_lm as configs
from experiments import build
from experiments.masked_lm import model as text_model


def perceiver_flops(length, vocabulary, channels, latents, width, layers):
    """By hand: multiplies and adds of every matrix product, for one text."""
    qk = 256

    def linear(rows, inputs, outputs):
        return 2 * rows * inputs * outputs

    def attention(queries, keys, value):
        return 2 * queries * keys * (qk + value)

    def block(queries, size, keys, key_size, value):
        return (
            linear(queries, size, qk)
            + linear(keys, key_size, qk)
            + linear(keys, key_size, value)
            + attention(queries, keys, value)
            + linear(queries, value, size)
            + 2 * linear(queries, size, size)
        )

    return (
        block(latents, width, length, channels, width)
        + layers * block(latents, width, latents, width, width)
        + block(length, channels, latents, width, channels)
        + linear(length, channels, vocabulary)
    )


def bert_flops(length, vocabulary, width, layers):
    """By hand: 12 products of width by width a token and layer, and attention."""
    per_layer = 2 * length * 12 * width**2 + 4 * length**2 * width
    return layers * per_layer + 2 * length * width * vocabulary


@pytest.mark.parametrize(
    ("variant", "parameters", "flops"),
    [
        ("bytes", 201_108_230, perceiver_flops(2048, 262, 768, 256, 1280, 26)),
        ("sentencepiece", 223e6, perceiver_flops(512, 32_000, 768, 256, 1280, 26)),
        ("bytes_plus_plus", 425e6, perceiver_flops(2048, 262, 768, 256, 1536, 40)),
        ("bert_base", 110e6, bert_flops(512, 32_000, 768, 12)),
        ("bert_bytes", 20e6, bert_flops(2048, 262, 512, 6)),
    ],
)
def test_models_have_the_size_of_table_1(variant, parameters, flops):
    found = build.model_size(configs.get_config(variant))
    tolerance = 0 if variant == "bytes" else 0.01
    assert abs(found.parameters / parameters - 1) <= tolerance
    assert abs(found.flops / flops - 1) < 0.02


@pytest.mark.parametrize("kind", ["perceiver", "transformer"])
def test_padding_changes_no_valid_output(kind):
    """Whatever stands behind the mask."""
    config = small_text.masked_lm_config(**{"model.kind": kind})
    forward = hk.transform(text_model.Forward(config.model))
    rng = np.random.default_rng(0)
    tokens = rng.integers(6, 262, (2, 48))
    valid = np.arange(48) < [[48], [20]]
    init, apply = (
        jax.jit(f, static_argnames="is_training") for f in (forward.init, forward.apply)
    )
    batch = {"tokens": tokens, "token_mask": valid}
    params = init(jax.random.key(0), batch, is_training=False)
    found = [
        np.asarray(apply(params, None, batch | {"tokens": t}, is_training=False))
        for t in (tokens, np.where(valid, tokens, rng.integers(0, 262, (2, 48))))
    ]
    np.testing.assert_array_equal(found[0][valid], found[1][valid])
    short = {"tokens": tokens[1:, :20], "token_mask": valid[1:, :20]}
    alone = apply(params, None, short, is_training=False)
    np.testing.assert_allclose(found[0][1, :20], alone[0], atol=1e-5)
