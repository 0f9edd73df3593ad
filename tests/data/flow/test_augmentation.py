"""Augmented pairs: flow stays true, and changes grow with strength."""

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
