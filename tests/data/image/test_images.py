"""Image operations, with numpy and Pillow as judges."""

import io

import fake_imagenet
import numpy as np
import pytest
from PIL import Image

from perceiver_jax.data.image import images as image
from perceiver_jax.data.sources import CorruptExample


@pytest.fixture(scope="module")
def photo():
    return fake_imagenet.photograph(np.random.default_rng(0), (120, 160))


def _pixels(picture):
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize(
    "file_format, modes",
    [
        ("JPEG", ["RGB", "L", "CMYK"]),
        ("PNG", ["RGB", "L", "P", "RGBA", "LA", "1"]),
        ("TIFF", ["RGB", "L", "CMYK", "RGBA"]),
        ("GIF", ["L", "P"]),
        ("WEBP", ["RGB", "RGBA"]),
        ("BMP", ["RGB", "P"]),
    ],
)
def test_decode_agrees_with_pillow_in_every_mode(photo, file_format, modes):
    for mode in modes:
        data = fake_imagenet.encode(photo.convert(mode), file_format)
        decoded = image.decode(data, "photo")
        expected = Image.open(io.BytesIO(data)).convert("RGB")
        assert decoded.mode == "RGB"
        # JPEG decoders may differ in rounding.
        assert np.abs(_pixels(decoded) - _pixels(expected)).mean() < 1


def test_decode_drops_transparency_and_keeps_the_colour_below():
    pixels = np.full((8, 8, 4), [200, 100, 50, 0], np.uint8)
    data = fake_imagenet.encode(Image.fromarray(pixels), "PNG")
    for given in [data, data + b"\0", pixels]:  # OpenCV, Pillow, array
        np.testing.assert_array_equal(
            _pixels(image.decode(given, "clear")), pixels[..., :3]
        )


def test_decode_keeps_the_upper_bits_of_16_bit_grey():
    ramp = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    for file_format in ["PNG", "TIFF"]:
        data = fake_imagenet.encode(Image.fromarray(ramp), file_format)
        decoded = _pixels(image.decode(data, "ramp"))
        assert np.abs(decoded - (ramp >> 8)[..., None]).max() <= 1


def test_decode_ignores_the_orientation_tag(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    written = io.BytesIO()
    photo.save(written, "JPEG", exif=exif)
    assert image.decode(written.getvalue(), "photo").size == photo.size
    assert image.decode(written.getvalue() + b"\0", "photo").size == photo.size


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_decode_takes_arrays(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded = np.asarray(image.decode(array, "array"))
    expected = np.broadcast_to(array.reshape(5, 7, -1)[..., :3], (5, 7, 3))
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 7)), np.zeros((5, 7, 2), np.uint8), np.zeros((1, 5, 7, 3), np.uint8)],
)
def test_decode_rejects_other_arrays(array):
    with pytest.raises(ValueError, match="digit 3: an image array is uint8 .* got"):
        image.decode(array, "digit 3")


def test_decode_names_every_damaged_file(photo):
    jpeg, png = (fake_imagenet.encode(photo, name) for name in ["JPEG", "PNG"])
    damaged = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "end.jpg": jpeg[:-2],
        "cut.png": png[: len(png) // 2],
        "flipped.png": png[:300] + bytes(100) + png[400:],
        "marker.jpg": jpeg[:40] + b"\xff\xd9",
        "text.jpg": b"<html>404 not found</html>",
        "empty.jpg": b"",
    }
    for name, data in damaged.items():
        with pytest.raises(CorruptExample, match=f"^{name}: "):
            image.decode(data, name)


def test_operations_are_pure(photo):
    before = _pixels(photo)
    for operation in [
        lambda rng: image.inception_crop(photo, (32, 48), rng),
        lambda rng: image.flip(photo, rng),
        lambda rng: image.rand_augment(photo, rng, num_layers=8, magnitude=7),
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
    crops = [_pixels(image.inception_crop(picture, (8, 8), rng)) for _ in range(500)]
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
    crop = _pixels(image.inception_crop(picture, (10, 10), rng, area=(0.9, 1.0)))
    np.testing.assert_array_equal(crop, _pixels(picture)[:, 123:133])


def test_center_crop_is_the_middle_with_the_aspect_of_the_result():
    picture = _ramps(128, 192)
    np.testing.assert_array_equal(
        _pixels(image.center_crop(picture, (112, 112))), _pixels(picture)[8:120, 40:152]
    )
    np.testing.assert_array_equal(
        _pixels(image.center_crop(picture, (64, 192), fraction=1.0)),
        _pixels(picture)[32:96],
    )


def test_flip_mirrors_half_of_the_time(photo):
    rng = np.random.default_rng(0)
    flipped = [_pixels(image.flip(photo, rng)) for _ in range(200)]
    mirrored = sum((pixels == _pixels(photo)[:, ::-1]).all() for pixels in flipped)
    same = sum((pixels == _pixels(photo)).all() for pixels in flipped)
    assert mirrored + same == 200
    assert 75 < mirrored < 125


def test_rand_augment_draws_fourteen_operations_with_both_signs(photo):
    rng = np.random.default_rng(0)
    results = {
        image.rand_augment(photo, rng, num_layers=1, magnitude=8).tobytes()
        for _ in range(300)
    }
    # Five of them have two directions.
    assert len(results) == 14 + 5


def test_rand_augment_translates_and_rotates_by_the_magnitude():
    picture = _ramps(100, 200)
    rng = np.random.default_rng(0)
    results = {
        image.rand_augment(picture, rng, num_layers=1, magnitude=10).tobytes()
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
        same = image._OPERATIONS[name](photo, 0.5, 1)
        np.testing.assert_array_equal(_pixels(same), _pixels(photo))


def test_normalize_is_the_formula_and_denormalize_its_inverse(photo):
    normal = image.normalize(photo)
    assert normal.dtype == np.float32 and normal.shape == (120, 160, 3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(normal, (_pixels(photo) / 255 - mean) / std, atol=1e-5)
    np.testing.assert_array_equal(image.denormalize(normal), _pixels(photo))


def _batch(size):
    """Images that hold their own number everywhere, and one-hot labels."""
    images = np.broadcast_to(np.arange(size)[:, None, None, None], (size, 16, 24, 3))
    return images.astype(np.float32), np.eye(size, dtype=np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 32])
def test_mixing_gives_labels_of_the_share_of_pixels(size):
    images, labels = _batch(size)
    copies = images.copy(), labels.copy()
    mixed, soft = image.mixup_cutmix(images, labels, np.random.default_rng(0), 0.2)
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
    mixed, soft = image.mixup_cutmix(images, labels, np.random.default_rng(0), 1.0)
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
