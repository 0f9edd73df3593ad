"""Crops, flips and colours: one change for all frames of a clip."""

import numpy as np
import pytest

from perceiver_jax.data.video import augmentation

FRAME = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
STILL = np.stack(5 * [FRAME])


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    "change",
    [
        lambda frames, rng: augmentation.inception_crop(frames, (12, 16), rng),
        augmentation.flip,
        augmentation.color_jitter,
    ],
)
def test_a_still_clip_stays_still_and_changes_with_the_generator(change):
    before = STILL.copy()
    results = [change(STILL, generator(seed)) for seed in range(8)]
    for frames in results:
        assert frames.dtype == np.uint8 and len(frames) == 5
        assert (frames == frames[:1]).all()
    assert any((results[0] != other).any() for other in results)
    np.testing.assert_array_equal(results[3], change(STILL, generator(3)))
    np.testing.assert_array_equal(STILL, before)


def test_a_crop_is_a_part_of_the_frame():
    y, x = np.mgrid[:40, :60]
    ramp = np.stack([4 * y, 4 * x, 0 * x], -1).astype(np.uint8)
    areas = []
    for seed in range(20):
        crop = augmentation.inception_crop(
            np.stack([ramp, ramp]), (32, 32), generator(seed), (0.2, 0.5)
        )
        assert crop.shape == (2, 32, 32, 3)
        height, width = (np.ptp(crop[0, ..., c].astype(float)) / 4 for c in (0, 1))
        areas.append((height + 1) * (width + 1) / (40 * 60))
    assert 0.17 < min(areas) < 0.3 and 0.35 < max(areas) < 0.55


def test_flips_mirror_left_to_right_half_of_the_time():
    flipped = 0
    for seed in range(200):
        frames = augmentation.flip(STILL, generator(seed))
        mirrored = (frames == STILL[:, :, ::-1]).all()
        assert mirrored or (frames == STILL).all()
        flipped += mirrored
    assert 80 < flipped < 120


def test_colors_change_by_their_strength():
    same = augmentation.color_jitter(STILL, generator(), strength=0, hue=0)
    # Hue goes by way of HSV, which rounds.
    assert np.abs(same.astype(int) - STILL).max() <= 6
    weak, strong = (
        np.mean(
            [
                np.abs(
                    augmentation.color_jitter(STILL, generator(n), s, 0) - 1.0 * STILL
                )
                for n in range(8)
            ]
        )
        for s in (0.1, 0.4)
    )
    assert 1 < weak < strong / 2
    turned = augmentation.color_jitter(STILL, generator(), strength=0, hue=0.5)
    brightest = np.abs(turned.max(-1).astype(int) - STILL.max(-1)).max()
    assert brightest <= 6 and (turned != same).mean() > 0.3
