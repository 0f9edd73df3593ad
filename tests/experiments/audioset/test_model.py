"""The classifier of clips: what it reads, and what it passes over."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_audioset import make_config, random_variables

from experiments.audioset import model as clip_model


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
    forward, variables = random_variables(config)
    batch = make_batch(config)
    before, _ = forward.apply(*variables, None, batch, False)
    assert before.shape == (3, 6) and before.dtype == jnp.float32
    for name in inputs:  # each one matters
        changed = {**batch, name: batch[name][::-1]}
        after, _ = forward.apply(*variables, None, changed, False)
        assert np.abs(after - before).max() > 1e-3


def test_what_is_not_there_is_passed_over():
    config = make_config()
    forward, variables = random_variables(config)
    known = {"video": np.array([2, 0, 2]), "audio": np.array([64, 64, 0])}
    batch = make_batch(config, known)
    before, _ = forward.apply(*variables, None, batch, False)
    other = {name: x.copy() for name, x in batch.items()}
    other["video"][1] = 7
    other["audio"][2] = 0.5
    after, _ = forward.apply(*variables, None, other, False)
    np.testing.assert_array_equal(before, after)


def test_a_spectrogram_is_a_sequence_window_after_window():
    config = make_config(**{"model.inputs": ("mel",)})
    (mel,) = clip_model.input_modalities(config.model)
    assert (mel.shape, mel.patch, mel.grid) == ((16,), (4,), (4,))
    windows = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_array_equal(mel.cut(windows.reshape(1, 16, 1)), windows)
