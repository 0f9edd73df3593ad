"""The classifier of clips: what it reads, and what it passes over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_audioset import make_config

from experiments import build
from experiments.audioset import model as clip_model
from perceiver_jax.engine.forward import make_forward, parse_policy


def variables_of(config, forward):
    params, state = forward.init(
        jax.random.key(0), build.make_model(config).batch(1), False
    )
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)]
    return jax.tree.unflatten(tree, noisy), state


def make_forward_of(config):
    model = build.make_model(config)
    return make_forward(model.forward, parse_policy(config.precision))


def make_batch(config, known=None):
    rng = np.random.default_rng(0)
    batch = {}
    for modality in clip_model.input_modalities(config.model):
        shape = (3, *modality.shape, modality.channels)
        batch[modality.name] = (
            rng.integers(0, 256, shape, np.uint8)
            if modality.name == "video"
            else rng.uniform(-1, 1, shape).astype(np.float32)
        )
        count = np.full(3, modality.shape[0], np.int32)
        batch[f"{modality.name}_known"] = (known or {}).get(modality.name, count)
    return batch


@pytest.mark.parametrize("head", ["mean", "query"])
@pytest.mark.parametrize("inputs", [("mel",), ("video",), ("audio", "mel", "video")])
def test_any_inputs_and_both_heads_give_logits(inputs, head):
    config = make_config(**{"model.inputs": inputs, "model.head": head})
    forward = make_forward_of(config)
    variables = variables_of(config, forward)
    batch = make_batch(config)
    before, _ = forward.apply(*variables, None, batch, False)
    assert before.shape == (3, 6) and before.dtype == jnp.float32
    for name in inputs:  # each one matters
        changed = {**batch, name: batch[name][::-1]}
        after, _ = forward.apply(*variables, None, changed, False)
        assert np.abs(after - before).max() > 1e-3


def test_what_is_not_there_is_passed_over():
    config = make_config()
    forward = make_forward_of(config)
    variables = variables_of(config, forward)
    known = {"video": np.array([2, 0, 2]), "audio": np.array([64, 64, 0])}
    batch = make_batch(config, known)
    before, _ = forward.apply(*variables, None, batch, False)
    other = {name: x.copy() for name, x in batch.items()}
    other["video"][1] = 7
    other["audio"][2] = 0.5
    after, _ = forward.apply(*variables, None, other, False)
    np.testing.assert_array_equal(before, after)


def test_pixels_are_computed_with_as_precisely_as_all_else():
    config = make_config(**{"model.inputs": ("video",)})
    config.precision = "params=float32,compute=bfloat16,output=float32"
    forward = make_forward_of(config)
    variables = variables_of(config, forward)
    text = str(
        jax.make_jaxpr(lambda b: forward.apply(*variables, None, b, False))(
            make_batch(config)
        )
    )
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products
    # The logits alone are made in float32.
    assert sum(":f32" in line.split("=")[0] for line in products) <= 3


def test_a_spectrogram_is_a_sequence_window_after_window():
    config = make_config(**{"model.inputs": ("mel",)})
    (mel,) = clip_model.input_modalities(config.model)
    assert (mel.shape, mel.patch, mel.grid) == ((16,), (4,), (4,))
    windows = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_array_equal(mel.cut(windows.reshape(1, 16, 1)), windows)
