"""Image files and arrays to RGB images of Pillow."""

import io
import pathlib

import numpy as np
from PIL import Image

from perceiver_jax.data.sources import CorruptExample

# Of files that `decode` reads, where a folder may hold other files too.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")


def read_image(path: pathlib.Path) -> np.ndarray:
    """Returns the image of a file, [H, W, 3] uint8.

    Raises:
      CorruptExample: it can't be decoded.
    """
    return np.asarray(decode(path.read_bytes(), str(path)))


def decode(data: bytes | np.ndarray, name: str) -> Image.Image:
    """The RGB image in encoded bytes or in a uint8 array.

    Grey, palette and CMYK images become RGB; transparency is dropped (the colour
    below it stays); 16-bit channels keep their upper 8 bits. Of several pictures in a
    file, the first one counts. The camera's orientation tag is ignored, as in the
    papers' TensorFlow pipelines.

    Args:
      data: a file's bytes, in any format that Pillow reads, or an array [H, W],
        [H, W, 1], [H, W, 3] or [H, W, 4].
      name: what to call the image in an error.

    Raises:
      CorruptExample: the bytes are truncated, damaged or no image; or its pixels are
        of 32 bits, of which no file says what is white.
      ValueError: the array has another shape or type.
    """
    if isinstance(data, np.ndarray):
        return _from_array(data, name)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _to_rgb(image)
    except Image.UnidentifiedImageError as error:
        raise CorruptExample(f"{name}: in no image format that is known") from error
    # Pillow's many readers raise errors of any type on damaged bytes.
    except Exception as error:
        raise CorruptExample(f"{name}: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") and image.format == "TIFF":
        raise ValueError("pixels of 32 bits; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit grey: convert() would clip it
        upper = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(upper).convert("RGB")
    return image.convert("RGB")


def _from_array(pixels: np.ndarray, name: str) -> Image.Image:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or channels not in (1, 3, 4)
    ):
        raise ValueError(
            f"{name}: an image array is uint8 [H, W] or [H, W, 1, 3 or 4], got"
            f" {pixels.dtype} {list(pixels.shape)}"
        )
    if channels == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
