"""Decoding of images, with numpy and Pillow as judges."""

import io

import fake_imagenet
import numpy as np
import pytest
from PIL import Image

from perceiver_jax.data.image import decoding
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
        decoded = decoding.decode(data, "photo")
        expected = Image.open(io.BytesIO(data)).convert("RGB")
        assert decoded.mode == "RGB"
        # JPEG decoders may differ in rounding.
        assert np.abs(_pixels(decoded) - _pixels(expected)).mean() < 1


def test_decode_drops_transparency_and_keeps_the_colour_below():
    pixels = np.full((8, 8, 4), [200, 100, 50, 0], np.uint8)
    data = fake_imagenet.encode(Image.fromarray(pixels), "PNG")
    for given in [data, data + b"\0", pixels]:  # OpenCV, Pillow, array
        np.testing.assert_array_equal(
            _pixels(decoding.decode(given, "clear")), pixels[..., :3]
        )


def test_decode_keeps_the_upper_bits_of_16_bit_grey():
    ramp = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    for file_format in ["PNG", "TIFF"]:
        data = fake_imagenet.encode(Image.fromarray(ramp), file_format)
        decoded = _pixels(decoding.decode(data, "ramp"))
        assert np.abs(decoded - (ramp >> 8)[..., None]).max() <= 1


def test_decode_refuses_pixels_of_32_bits():
    for kind in (np.float32, np.int32):
        pixels = Image.fromarray(np.linspace(0, 255, 12).astype(kind).reshape(3, 4))
        with pytest.raises(CorruptExample, match="x.tif: pixels of 32 bits; save it"):
            decoding.decode(fake_imagenet.encode(pixels, "TIFF"), "x.tif")


def test_decode_takes_the_first_of_several_pictures(photo):
    first, others = photo.convert("P"), [photo.rotate(180).convert("P")]
    written = io.BytesIO()
    first.save(written, "GIF", save_all=True, append_images=others)
    decoded = decoding.decode(written.getvalue(), "moving.gif")
    np.testing.assert_array_equal(_pixels(decoded), _pixels(first.convert("RGB")))


def test_decode_ignores_the_orientation_tag(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    written = io.BytesIO()
    photo.save(written, "JPEG", exif=exif)
    assert decoding.decode(written.getvalue(), "photo").size == photo.size
    assert decoding.decode(written.getvalue() + b"\0", "photo").size == photo.size


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_decode_takes_arrays(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded = np.asarray(decoding.decode(array, "array"))
    expected = np.broadcast_to(array.reshape(5, 7, -1)[..., :3], (5, 7, 3))
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 7)), np.zeros((5, 7, 2), np.uint8), np.zeros((1, 5, 7, 3), np.uint8)],
)
def test_decode_rejects_other_arrays(array):
    with pytest.raises(ValueError, match="digit 3: an image array is uint8 .* got"):
        decoding.decode(array, "digit 3")


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
        "huge.png": png[:16] + (2**16).to_bytes(4) * 2 + png[24:],  # its claim
    }
    for name, data in damaged.items():
        with pytest.raises(CorruptExample, match=f"^{name}: "):
            decoding.decode(data, name)


def test_read_image_is_the_array_of_a_file(tmp_path, photo):
    for mode in ("RGB", "L", "LA", "RGBA", "P"):
        photo.convert(mode).save(tmp_path / "x.png")
        found = decoding.read_image(tmp_path / "x.png")
        expected = photo.convert(mode).convert("RGB")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, _pixels(expected))
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(CorruptExample, match="x.png: in no image format"):
        decoding.read_image(tmp_path / "x.png")
