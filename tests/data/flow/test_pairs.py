"""What is done to pairs of any source: damage, reversal, normalization."""

import cv2
import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import augmentation, pairs, photos, rendering

PHOTOS = photos.scikit_learn()


def rendered(index=0, size=(96, 128), motion=8.0):
    look = rendering.Rendering(size, motion, (0, 3), blurred=0, foggy=0, noisy=0)
    return pairs.mask_damage(rendering.RenderedPairs(PHOTOS, look, 50)[index])


def random_pair(size=(24, 32), share_valid=1.0, seed=0):
    pair = fake_flow.make_pair(seed, size, share_valid)
    return pairs.mask_damage(pair._asdict() | {"name": "a pair"})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e9, 1001, -1001])
def test_damaged_flow_is_masked_and_marked(value):
    pair = fake_flow.make_pair(0, (6, 8))._asdict()
    pair["flow"][2, 3, 1] = value
    pair["flow"][4, 4, 0] = value
    pair["valid"][4, 4] = False  # not known anyway
    found = pairs.mask_damage(pair)
    assert found["damaged"].sum() == 1 and found["damaged"][2, 3]
    assert not found["valid"][2, 3] and not found["valid"][4, 4]
    assert np.isfinite(found["flow"]).all() and not found["flow"][2, 3].any()
    for scale in range(5):
        part = augmentation.augment(
            found | {"name": ""}, np.random.default_rng(scale), (4, 5), 1.0
        )
        assert np.isfinite(part["flow"]).all()
        assert not (part["damaged"] & part["valid"]).any()


def test_the_length_of_flow_counts_for_damage_and_not_its_parts():
    pair = fake_flow.make_pair(0, (2, 2))._asdict()
    pair["flow"][0, 0] = [800, 800]
    pair["flow"][1, 1] = [0, -1000]
    assert pairs.mask_damage(pair)["damaged"].tolist() == [[True, False], [False] * 2]


def test_reversed_flow_is_the_mean_of_what_ends_at_a_pixel():
    """Against loops over the pixels."""
    pair = random_pair((12, 15), share_valid=0.7)
    ends = {}
    for y in range(12):
        for x in range(15):
            if pair["valid"][y, x]:
                u, v = pair["flow"][y, x]
                place = (int(np.rint(y + v)), int(np.rint(x + u)))
                ends.setdefault(place, []).append([u, v])
    found = pairs.reverse(pair)
    np.testing.assert_array_equal(found["frames"], pair["frames"][::-1])
    for y in range(12):
        for x in range(15):
            flows = ends.get((y, x), [])
            assert found["valid"][y, x] == bool(flows)
            expected = -np.mean(flows, 0) if flows else [0, 0]
            np.testing.assert_allclose(found["flow"][y, x], expected, atol=1e-5)


def test_reversed_flow_of_one_shift_is_the_shift_back():
    pair = random_pair((12, 15))
    pair["flow"] = np.broadcast_to(np.float32([3, -2]), (12, 15, 2))
    found = pairs.reverse(pair)
    expected = np.zeros((12, 15), bool)
    expected[:10, 3:] = True  # the others are not reached
    np.testing.assert_array_equal(found["valid"], expected)
    np.testing.assert_array_equal(
        found["flow"][expected], np.tile(np.float32([-3, 2]), (120, 1))
    )


def test_reversed_rendered_pair_is_true():
    """The first frame along the reversed flow is the second, but for rounding."""
    errors, unmoved = [], []
    for index in range(5):
        pair = rendered(index)
        back = pairs.reverse(pair)
        height, width = back["valid"].shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x + back["flow"][..., 0], y + back["flow"][..., 1]
        second, first = back["frames"]
        found = cv2.remap(first, x, y, cv2.INTER_CUBIC).astype(float)
        errors.append(np.abs(found - second)[back["valid"]].mean())
        unmoved.append(np.abs(first - second.astype(float))[back["valid"]].mean())
    assert np.mean(errors) < 0.4 * np.mean(unmoved)


def test_frames_are_normalized_and_back():
    frames = np.arange(256, dtype=np.uint8)
    normalized = pairs.normalize(frames)
    assert normalized.dtype == np.float32
    assert normalized[0] == -1 and normalized[-1] == 1
    np.testing.assert_array_equal(pairs.denormalize(normalized), frames)


def test_frames_smaller_than_the_model_s_are_named():
    pairs.check_size((24, 32), (24, 32), "x.png")
    with pytest.raises(ValueError, match=r"x.png: frames of 24x32 .*model's 30x20.*"):
        pairs.check_size((24, 32), (30, 20), "x.png")
