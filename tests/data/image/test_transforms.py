"""Crops, flips and normalization, with numpy as the judge."""

import fake_imagenet
import numpy as np
import pytest
from PIL import Image

from perceiver_jax.data.image import transforms


@pytest.fixture(scope="module")
def photo():
    return fake_imagenet.photograph(np.random.default_rng(0), (120, 160))


def _pixels(picture):
    return np.asarray(picture).astype(int)


def test_operations_are_pure(photo):
    before = _pixels(photo)
    for operation in [
        lambda rng: transforms.inception_crop(photo, (32, 48), rng),
        lambda rng: transforms.flip(photo, rng),
    ]:
        first, again, other = (
            _pixels(operation(np.random.default_rng(seed))) for seed in [1, 1, 2]
        )
        np.testing.assert_array_equal(first, again)
        assert first.shape != other.shape or (first != other).any()
    np.testing.assert_array_equal(_pixels(photo), before)


def _ramps(height, width):
    """An image whose red is the column and green the row, up to 256 of each."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(
        np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)
    )


def test_inception_crop_has_the_area_and_aspect_of_the_paper():
    picture = _ramps(200, 250)
    rng = np.random.default_rng(0)
    crops = [
        _pixels(transforms.inception_crop(picture, (8, 8), rng)) for _ in range(500)
    ]
    # The outermost of eight samples lie seven eighths of the crop's side apart.
    widths = np.array([crop[0, -1, 0] - crop[0, 0, 0] for crop in crops]) * 8 / 7
    heights = np.array([crop[-1, 0, 1] - crop[0, 0, 1] for crop in crops]) * 8 / 7
    area, aspect = widths * heights / (200 * 250), widths / heights
    assert 0.06 < area.min() < 0.12 and 0.85 < area.max() < 1.05
    # The largest crops often do not fit and are drawn again, so it is below 0.54.
    assert 0.42 < area.mean() < 0.54
    assert 0.65 < aspect.min() < 0.85 and 1.2 < aspect.max() < 1.5
    assert 0.95 < np.exp(np.log(aspect).mean()) < 1.05
    lefts = np.array([crop[0, 0, 0] for crop in crops])
    assert lefts.min() < 15 and lefts.max() > 150


def test_inception_crop_of_a_long_image_is_its_middle():
    picture = _ramps(10, 256)
    rng = np.random.default_rng(0)
    crop = _pixels(transforms.inception_crop(picture, (10, 10), rng, area=(0.9, 1.0)))
    np.testing.assert_array_equal(crop, _pixels(picture)[:, 123:133])


def test_center_crop_is_the_middle_with_the_aspect_of_the_result():
    picture = _ramps(128, 192)
    np.testing.assert_array_equal(
        _pixels(transforms.center_crop(picture, (112, 112))),
        _pixels(picture)[8:120, 40:152],
    )
    np.testing.assert_array_equal(
        _pixels(transforms.center_crop(picture, (64, 192), fraction=1.0)),
        _pixels(picture)[32:96],
    )


def test_flip_mirrors_half_of_the_time(photo):
    rng = np.random.default_rng(0)
    flipped = [_pixels(transforms.flip(photo, rng)) for _ in range(200)]
    mirrored = sum((pixels == _pixels(photo)[:, ::-1]).all() for pixels in flipped)
    same = sum((pixels == _pixels(photo)).all() for pixels in flipped)
    assert mirrored + same == 200
    assert 75 < mirrored < 125


def test_normalize_is_the_formula_and_denormalize_its_inverse(photo):
    normal = transforms.normalize(photo)
    assert normal.dtype == np.float32 and normal.shape == (120, 160, 3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(normal, (_pixels(photo) / 255 - mean) / std, atol=1e-5)
    np.testing.assert_array_equal(transforms.denormalize(normal), _pixels(photo))
