"""What is done to pairs: augmentation, reversal, damage."""

import cv2
import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import augmentation, pairs, photos, rendering

SIZE = (64, 80)
PHOTOS = photos.scikit_learn()


def rendered(index=0, size=(96, 128), motion=8.0):
    look = rendering.Rendering(size, motion, (0, 3), blurred=0, foggy=0, noisy=0)
    return pairs.mask_damage(rendering.RenderedPairs(PHOTOS, look, 50)[index])


def random_pair(size=(24, 32), share_valid=1.0, seed=0):
    pair = fake_flow.make_pair(seed, size, share_valid)
    return pairs.mask_damage(pair._asdict() | {"name": "a pair"})


def rng(seed=0):
    return np.random.default_rng(seed)


# Augmentation


def test_strength_0_cuts_out_a_part_and_changes_nothing():
    pair = random_pair()
    places = set()
    for seed in range(20):
        part = augmentation.augment(pair, rng(seed), (10, 12), 0.0)
        ((top, left),) = [
            (y, x)
            for y in range(15)
            for x in range(21)
            if (pair["frames"][:, y : y + 10, x : x + 12] == part["frames"]).all()
        ]
        places.add((top, left))
        rows, columns = slice(top, top + 10), slice(left, left + 12)
        for name in ("flow", "valid", "damaged"):
            np.testing.assert_array_equal(part[name], pair[name][rows, columns])
    assert len(places) > 15


def test_flow_stays_true_however_a_pair_is_cut_scaled_stretched_and_flipped(
    monkeypatch,
):
    """The second frame along the new flow is the new first frame."""
    monkeypatch.setattr(augmentation, "_ERASED", 0)
    monkeypatch.setattr(augmentation, "_ASYMMETRIC", 0)
    errors, unmoved = [], []
    for seed in range(30):
        pair = rendered(seed % 5)
        part = augmentation.augment(pair, rng(seed), SIZE, 1.0)
        assert part["frames"].shape == (2, *SIZE, 3)
        assert part["flow"].dtype == np.float32 and part["valid"].all()
        y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
        x, y = x + part["flow"][..., 0], y + part["flow"][..., 1]
        inside = (x > 1) & (x < SIZE[1] - 2) & (y > 1) & (y < SIZE[0] - 2)
        first, second = part["frames"]
        back = cv2.remap(second, x, y, cv2.INTER_CUBIC).astype(float)
        errors.append(np.abs(back - first)[inside].mean())
        unmoved.append(np.abs(second - first.astype(float))[inside].mean())
    assert np.mean(errors) < 0.35 * np.mean(unmoved)


def test_all_flips_and_scales_come_and_grow_with_strength(monkeypatch):
    """Of a pair whose flow is (1, 2) everywhere."""
    pair = random_pair((60, 80))
    pair["flow"] = np.broadcast_to(np.float32([1, 2]), pair["flow"].shape)

    def flows(strength):
        return np.array(
            [
                augmentation.augment(pair, rng(s), (20, 24), strength)["flow"][0, 0]
                for s in range(200)
            ]
        )

    strong, weak = flows(1.0), flows(0.2)
    share = (strong < 0).mean(0)
    assert 0.4 < share[0] < 0.6 and 0.05 < share[1] < 0.17
    scale = np.abs(strong) / [1, 2]
    assert 0.7 < scale.min() < 0.85 and 1.6 < scale.max() < 1.8
    kept = (scale == 1).all(1)
    assert 0.15 < kept.mean() < 0.25
    stretched = ~np.isclose(*scale[~kept].T)
    assert 0.7 < stretched.mean() < 0.9
    assert np.abs(np.abs(weak) / [1, 2] - 1).max() < 0.13


def test_sparse_flow_keeps_its_values_and_its_share():
    pair = random_pair((60, 80), share_valid=0.3)
    known = {tuple(np.abs(v)) for v in pair["flow"][pair["valid"]]}
    shares = []
    for seed in range(10):
        part = augmentation.augment(pair, rng(seed), (30, 40), 1.0)
        shares.append(part["valid"].mean())
        assert not part["flow"][~part["valid"]].any()
        ratio = np.abs(part["flow"][part["valid"]])
        scales = set()
        for value in ratio[:5]:  # each is a value of the pair, scaled
            scales |= {tuple(np.round(value / v, 3)) for v in known if min(v) > 0}
        assert any(0.7 < x < 1.8 and 0.7 < y < 1.8 for x, y in scales)
    assert 0.25 < np.mean(shares) < 0.35


def test_colors_change_together_or_apart(monkeypatch):
    pair = random_pair()
    pair["frames"] = np.stack([pair["frames"][0]] * 2)
    monkeypatch.setattr(augmentation, "_SCALED", 0)
    monkeypatch.setattr(augmentation, "_ERASED", 0)
    parts = [augmentation.augment(pair, rng(s), (24, 32), 1.0) for s in range(100)]
    apart = [(part["frames"][0] != part["frames"][1]).any() for part in parts]
    assert 0.1 < np.mean(apart) < 0.3
    assert all(part["frames"].std() > 0 for part in parts)
    change = lambda strength: np.mean(
        [
            np.abs(
                augmentation._jitter(pair["frames"][0], rng(s), strength).astype(float)
                - pair["frames"][0]
            ).mean()
            for s in range(20)
        ]
    )
    assert change(0.1) < change(0.5) < change(1.0)


def test_the_eraser_paints_the_second_frame_with_its_mean(monkeypatch):
    monkeypatch.setattr(augmentation, "_SCALED", 0)
    monkeypatch.setattr(augmentation, "_FLIPPED", (0, 0))
    monkeypatch.setattr(augmentation, "_jitter", lambda pixels, *_: pixels.copy())
    pair = random_pair((40, 40))
    shares = []
    for seed in range(60):
        part = augmentation.augment(pair, rng(seed), (40, 40), 1.0)
        np.testing.assert_array_equal(part["frames"][0], pair["frames"][0])
        changed = (part["frames"][1] != pair["frames"][1]).any(-1)
        shares.append(changed.mean())
        mean = pair["frames"][1].mean((0, 1)).astype(np.uint8)
        assert (np.abs(part["frames"][1][changed] - mean.astype(int)) <= 1).all()
    assert 0.35 < (np.array(shares) > 0).mean() < 0.65 and max(shares) < 0.15


def test_augmentation_is_a_function_of_its_generator_and_keeps_the_pair():
    pair = rendered()
    before = {name: np.array(pair[name]) for name in ("frames", "flow")}
    one, other = (augmentation.augment(pair, rng(5), SIZE, 1.0) for _ in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    for name, array in before.items():
        np.testing.assert_array_equal(pair[name], array)


def test_frames_smaller_than_the_part_are_named():
    with pytest.raises(ValueError, match="a pair: frames of 24x32 pixels are smaller"):
        augmentation.augment(random_pair(), rng(), (25, 30), 1.0)
    with pytest.raises(ValueError, match=r'config.model.image_size="\(24,30\)"'):
        augmentation.augment(random_pair(), rng(), (25, 30), 1.0)


# Damage


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
        part = augmentation.augment(found | {"name": ""}, rng(scale), (4, 5), 1.0)
        assert np.isfinite(part["flow"]).all()
        assert not (part["damaged"] & part["valid"]).any()


# The reversed pair


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


def test_the_length_of_flow_counts_for_damage_and_not_its_parts():
    pair = fake_flow.make_pair(0, (2, 2))._asdict()
    pair["flow"][0, 0] = [800, 800]
    pair["flow"][1, 1] = [0, -1000]
    assert pairs.mask_damage(pair)["damaged"].tolist() == [[True, False], [False] * 2]
