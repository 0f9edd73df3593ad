"""Fields of a config's `model` are found in the modules that are made of them."""

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from configs import base
from experiments import model_parts
from perceiver_jax.model import perceiver

INPUTS = jax.ShapeDtypeStruct((2, 5, 6), jnp.float32)
QUERIES = jax.ShapeDtypeStruct((2, 3, 7), jnp.float32)


def model(**fields):
    config = base.get_model()
    config.update(
        {
            "num_latents": 4,
            "latent_channels": 8,
            "layers_per_block": 2,
            "num_self_heads": 2,
            **fields,
        }
    )
    return config


def shapes(function, *inputs):
    """{"module/name": shape} of parameters, and the output."""
    transformed = hk.transform(function)
    key = jax.random.key(0)
    params = jax.eval_shape(transformed.init, key, *inputs)
    output = jax.eval_shape(transformed.apply, params, key, *inputs)
    return {
        f"{module}/{name}": x.shape
        for module, arrays in params.items()
        for name, x in arrays.items()
    }, output.shape


def whole(fields):
    def forward(inputs, queries):
        head = model_parts.make_decoder(fields, output_channels=9)
        network = model_parts.make_perceiver(fields, head)
        return network(inputs, queries, is_training=False)

    return shapes(forward, INPUTS, QUERIES)


def test_a_perceiver_has_the_sizes_of_its_fields():
    found, output = whole(model(num_blocks=3, cross_widening=2, self_widening=3))
    assert output == (2, 3, 9)
    assert found["encoder/latents"] == (4, 8)
    assert found["encoder/cross_attention/mlp/hidden/w"] == (8, 16)
    layers = "processor/block/layers/self_attention"  # of one block, run three times
    assert found[f"{layers}/mlp/hidden/w"] == (2, 8, 24)
    assert found["decoder/output/w"] == (7, 9)


@pytest.mark.parametrize(
    ("fields", "name", "shape"),
    [
        ({}, "query/w", (8, 6)),  # 0: as wide as the inputs
        ({"qk_channels": 10, "v_channels": 12}, "query/w", (8, 10)),
        ({"qk_channels": 10, "v_channels": 12}, "value/w", (6, 12)),
    ],
)
def test_widths_of_the_encoder_s_attention(fields, name, shape):
    found, _ = whole(model(**fields))
    assert found[f"encoder/cross_attention/attention/{name}"] == shape


def test_widths_of_the_decoder_s_attention():
    fields = model(decoder_qk_channels=10, decoder_v_channels=14, qk_channels=6)
    found, _ = whole(fields)
    attention = "decoder/cross_attention/attention"
    assert found[f"{attention}/query/w"] == (7, 10)
    assert found[f"{attention}/value/w"] == (8, 14)


def test_a_mean_needs_no_decoder():
    fields = model()

    def forward(inputs):
        network = model_parts.make_perceiver(fields, perceiver.MeanPool(5))
        return network(inputs, None, is_training=False)

    found, output = shapes(forward, INPUTS)
    assert output[-1] == 5
    assert not any(name.startswith("decoder") for name in found)


def test_a_transformer_has_layers_per_block_layers():
    fields = model(layers_per_block=3)

    def forward(inputs):
        return model_parts.make_transformer(fields)(inputs, is_training=False)

    found, output = shapes(forward, INPUTS)
    assert output == INPUTS.shape
    stacked = {k: v for k, v in found.items() if k.startswith("transformer/layers")}
    assert stacked and all(shape[0] == 3 for shape in stacked.values())


@pytest.mark.parametrize("gelu", ["tanh", "exact"])
def test_gelu_is_the_config_s(gelu):
    jaxpr = str(
        jax.make_jaxpr(
            lambda key, *inputs: hk.transform(
                lambda x, y: model_parts.make_perceiver(
                    model(gelu=gelu), model_parts.make_decoder(model(gelu=gelu), 9)
                )(x, y, is_training=False)
            ).init(key, *inputs)
        )(jax.random.key(0), INPUTS, QUERIES)
    )
    assert ("tanh" in jaxpr) == (gelu == "tanh")
