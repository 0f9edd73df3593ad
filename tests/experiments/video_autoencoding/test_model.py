"""The model of several modalities: what is asked for, hidden, and not there."""

import jax
import numpy as np
import pytest
from small_av import make_batch, make_config, random_variables

from experiments import build
from experiments.video_autoencoding.model import coded_values

SIZES = {"audio": (4, 16), "video": (128, 3), "label": (1, 9)}


def decode(config, batch):
    """All that a small model with fixed parameters decodes of a batch."""
    forward, variables = random_variables(config)
    apply = jax.jit(lambda batch: forward.apply(*variables, None, batch, False)[0])
    return jax.device_get(apply(batch))


def assert_same(found, expected):
    """Equal but for rounding, where all elements are of the size of the largest."""
    np.testing.assert_allclose(found, expected, atol=3e-6 * np.abs(expected).max())


@pytest.fixture
def batch():
    return make_batch(make_config(), 2)


def test_everything_is_decoded_where_no_points_are_named(batch):
    found = decode(make_config(), batch)
    assert {name: x.shape[1:] for name, x in found.items()} == SIZES
    assert {x.dtype for x in found.values()} == {np.dtype("float32")}
    for x in found.values():
        assert x.std() > 0.01 and np.abs(x[0] - x[1]).max() > 0.01


@pytest.mark.parametrize("chunk", [1, 7, 128])
def test_decoding_in_chunks_is_decoding_at_once(batch, chunk):
    whole = decode(make_config(**{"model.query_chunk": 0}), batch)
    found = decode(make_config(**{"model.query_chunk": chunk}), batch)
    for name, x in whole.items():
        assert_same(found[name], x)


def test_any_order_of_points_gives_the_same_elements(batch):
    config = make_config(**{"model.query_chunk": 10})
    whole = decode(config, batch)
    rng = np.random.default_rng(0)
    for name in ("audio", "video"):
        points = np.stack([rng.permutation(SIZES[name][0]) for _ in range(2)])
        found = decode(config, {**batch, f"{name}_points": points.astype(np.int32)})
        expected = np.take_along_axis(whole[name], points[..., None], axis=1)
        assert_same(found[name], expected)
    few = np.array([[5, 100], [127, 0]], np.int32)
    found = decode(config, {**batch, "video_points": few})["video"]
    expected = np.take_along_axis(whole["video"], few[..., None], axis=1)
    assert_same(found, expected)


def test_a_hidden_label_can_not_be_seen(batch):
    other = {**batch, "label": np.roll(batch["label"], 1, axis=1)}
    hidden = [decode(make_config(), x) for x in (batch, other)]
    seen = [
        decode(make_config(), {**x, "label_hidden": np.zeros(2, bool)})
        for x in (batch, other)
    ]
    for name in SIZES:
        np.testing.assert_array_equal(hidden[0][name], hidden[1][name])
        assert np.abs(seen[0][name] - seen[1][name]).max() > 1e-3


def test_what_is_not_there_can_not_be_seen(batch):
    """The second frame of the first clip, and the last 24 samples of the second."""
    batch["video_known"][0] = 1
    batch["audio_known"][1] = 32
    found = decode(make_config(), batch)
    batch["video"][0, 1] = 255 - batch["video"][0, 1]
    batch["audio"][1, 32:] += 1
    again = decode(make_config(), batch)
    for name in SIZES:
        np.testing.assert_array_equal(found[name], again[name])
    batch["audio"][1, :32] += 1
    changed = decode(make_config(), batch)
    assert np.abs(changed["label"][1] - again["label"][1]).max() > 1e-3


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_code_has_so_many_values(batch, code):
    config = make_config(**{"model.code_channels": code})
    assert coded_values(config.model) == 4 * (code or 16)
    assert np.isfinite(decode(config, batch)["video"]).all()


def test_sizes_that_patches_do_not_divide_are_named():
    for field, value in {
        "model.video_patch": (2, 3, 4),
        "model.audio_patch": 24,
    }.items():
        with pytest.raises(ValueError, match="can't be cut into patches"):
            build.make_model(make_config(**{field: value}))
