"""DeepMind's names of the parts of a Perceiver, as their files have them."""

import oracles
import pytest

from perceiver_jax.pretrained import deepmind


def listed(prefix, name="imagenet_conv"):
    """The released names of a module and what is in it."""
    return {path for path in oracles.released_shapes(name) if path.startswith(prefix)}


def their_names(table, layers):
    return {rule.their_path(layer) for rule in table for layer in range(layers)}


@pytest.mark.parametrize(
    ("table", "prefix", "layers"),
    [
        (deepmind.encoder("perceiver_encoder/~"), "perceiver_encoder/", 6),
        (
            deepmind.cross_attend("here", "perceiver_encoder/~/cross_attention"),
            "perceiver_encoder/~/cross_attention/",
            1,
        ),
        (
            deepmind.decoder("classification_decoder/~/basic_decoder"),
            (
                "classification_decoder/~/basic_decoder/cross",
                "classification_decoder/~/basic_decoder/output",
            ),
            1,
        ),
        (
            deepmind.batch_norm(
                "here", "image_preprocessor/~/conv2_d_downsample/~/batchnorm"
            ),
            "image_preprocessor/~/conv2_d_downsample/~/batchnorm",
            1,
        ),
    ],
)
def test_a_part_names_all_arrays_of_its_module(table, prefix, layers):
    assert their_names(table, layers) == listed(prefix)


def test_layers_are_one_stacked_array_here():
    (rule,) = [
        rule
        for rule in deepmind.encoder("there")
        if rule.ours == "processor/block/layers/self_attention/attention_norm/scale"
    ]
    assert rule.stacked
    assert rule.their_path(0) == "there/self_attention/layer_norm/scale"
    assert rule.their_path(5) == "there/self_attention_5/layer_norm/scale"


def test_parts_of_the_simplest_modules():
    pairs = {"w": "there/w", "b": "there/b"}
    linear = {rule.ours: rule.theirs for rule in deepmind.linear("here", "there")}
    assert linear == {f"here/{k}": v for k, v in pairs.items()}
    norm = [rule.ours for rule in deepmind.norm("here", "there")]
    assert norm == ["here/scale", "here/offset"]
