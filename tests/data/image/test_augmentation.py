"""RandAugment, MixUp and CutMix, with numpy and Pillow as judges."""

import fake_imagenet
import numpy as np
import pytest
from PIL import Image

from perceiver_jax.data.image import augmentation


@pytest.fixture(scope="module")
def photo():
    return fake_imagenet.photograph(np.random.default_rng(0), (120, 160))


def _pixels(picture):
    return np.asarray(picture).astype(int)


def _ramps(height, width):
    """An image whose red is the column and green the row, up to 256 of each."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(
        np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)
    )


def test_rand_augment_is_pure(photo):
    before = _pixels(photo)
    first, again, other = (
        _pixels(augmentation.rand_augment(photo, np.random.default_rng(seed), 8, 7))
        for seed in [1, 1, 2]
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(_pixels(photo), before)


def test_rand_augment_draws_fourteen_operations_with_both_signs(photo):
    rng = np.random.default_rng(0)
    results = {
        augmentation.rand_augment(photo, rng, num_layers=1, magnitude=8).tobytes()
        for _ in range(300)
    }
    # Five of them have two directions.
    assert len(results) == 14 + 5


def test_rand_augment_translates_and_rotates_by_the_magnitude():
    picture = _ramps(100, 200)
    rng = np.random.default_rng(0)
    results = {
        augmentation.rand_augment(picture, rng, num_layers=1, magnitude=10).tobytes()
        for _ in range(300)
    }
    pixels = _pixels(picture)
    grey = np.full_like(pixels, 128)
    right = np.concatenate([grey[:, :90], pixels[:, :-90]], axis=1)
    up = np.concatenate([pixels[45:], grey[:45]])
    for expected in [
        right,
        up,
        pixels,
        _pixels(picture.rotate(30, fillcolor=(128,) * 3)),
    ]:
        assert expected.astype(np.uint8).tobytes() in results


def test_enhancements_do_nothing_at_magnitude_five_as_in_the_released_code(photo):
    for name in ["color", "contrast", "brightness", "sharpness"]:
        same = augmentation._OPERATIONS[name](photo, 0.5, 1)
        np.testing.assert_array_equal(_pixels(same), _pixels(photo))


def _batch(size):
    """Images that hold their own number everywhere, and one-hot labels."""
    images = np.broadcast_to(np.arange(size)[:, None, None, None], (size, 16, 24, 3))
    return images.astype(np.float32), np.eye(size, dtype=np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 32])
def test_mixing_gives_labels_of_the_share_of_pixels(size):
    images, labels = _batch(size)
    copies = images.copy(), labels.copy()
    mixed, soft = augmentation.mixup_cutmix(
        images, labels, np.random.default_rng(0), 0.2
    )
    assert mixed.dtype == soft.dtype == np.float32
    assert mixed.shape == images.shape and soft.shape == labels.shape
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    # The pixels' mean is that of the numbers, weighted by the labels.
    np.testing.assert_allclose(
        mixed.mean(axis=(1, 2, 3)), soft @ np.arange(size), atol=1e-4
    )
    np.testing.assert_array_equal(images, copies[0])
    np.testing.assert_array_equal(labels, copies[1])


def test_first_half_is_blended_and_second_half_has_boxes():
    images, labels = _batch(64)
    mixed, soft = augmentation.mixup_cutmix(
        images, labels, np.random.default_rng(0), 1.0
    )
    for i in range(32):
        assert np.ptp(mixed[i]) == 0  # one blend for all pixels
        assert soft[i, 32:].sum() == 0
    own = np.arange(32, 64)
    boxes = 0
    for i in own:
        values = set(np.unique(mixed[i]))
        partner = 32 + (i - 33) % 32
        assert values <= {i, partner}
        boxes += len(values) == 2
        rows, columns = np.nonzero(mixed[i, :, :, 0] == partner)
        if len(rows):
            assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert boxes > 20
    # One share per example, spread over [0, 1].
    shares = np.diagonal(soft)
    assert len(np.unique(shares)) > 50
    assert shares[:32].std() > 0.2 and shares[32:].std() > 0.15
