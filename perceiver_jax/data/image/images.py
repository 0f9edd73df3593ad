"""Image operations on Pillow images: pure functions of their arguments.

Every random operation takes the generator that it may use, so an augmented image
is a function of (seed, step). No operation changes its input.
"""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from perceiver_jax.data.sources import CorruptExample

# Of files that `decode` reads, where a folder may hold other files too.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")

# Channel statistics of ImageNet, of pixels in [0, 1].
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def decode(data: bytes | np.ndarray, name: str) -> Image.Image:
    """The RGB image in encoded bytes or in a uint8 array.

    Grey, palette and CMYK images become RGB; transparency is dropped (the colour
    below it stays); 16-bit channels keep their upper 8 bits. The camera's
    orientation tag is ignored, as in the papers' TensorFlow pipelines.

    Args:
      data: a file's bytes, in any format that Pillow reads, or an array [H, W],
        [H, W, 1], [H, W, 3] or [H, W, 4].
      name: what to call the image in an error.

    Raises:
      CorruptExample: the bytes are truncated, damaged or no image.
      ValueError: the array has another shape or type.
    """
    if isinstance(data, np.ndarray):
        return _from_array(data, name)
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode.startswith("I"):  # 16-bit grey: convert() would clip it
                upper = (np.asarray(image) >> 8).astype(np.uint8)
                return Image.fromarray(upper).convert("RGB")
            return image.convert("RGB")
    except Image.UnidentifiedImageError as error:
        raise CorruptExample(f"{name}: in no image format that is known") from error
    # Pillow's many readers raise errors of any type on damaged bytes.
    except Exception as error:
        raise CorruptExample(f"{name}: {error}") from error


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


def inception_crop(
    image: Image.Image,
    size: tuple[int, int],
    rng: np.random.Generator,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Image.Image:
    """A random part of the image, resized (bicubic, antialiased).

    "Going deeper with convolutions" (Szegedy et al. 2015), section 6.

    Args:
      image: any RGB image.
      size: height and width of the result, in pixels.
      rng: decides the part.
      area: bounds of the part's share of the image, drawn uniformly.
      aspect: bounds of the part's width over height, drawn log-uniformly.
    """
    for _ in range(10):
        pixels = rng.uniform(*area) * image.width * image.height
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        width = round(math.sqrt(pixels * ratio))
        height = round(math.sqrt(pixels / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left = int(rng.integers(image.width - width + 1))
            top = int(rng.integers(image.height - height + 1))
            return _resize(image, size, (left, top, left + width, top + height))
    # Only very long images come here: no part of them has such an aspect.
    return center_crop(image, size, fraction=1.0)


def center_crop(
    image: Image.Image, size: tuple[int, int], fraction: float = 0.875
) -> Image.Image:
    """The middle of the image, resized (bicubic, antialiased); for evaluation.

    Args:
      image: any RGB image.
      size: height and width of the result, in pixels.
      fraction: side of the part over that of the largest with the result's aspect;
        0.875 is the papers' 224 out of 256.
    """
    height, width = size
    scale = fraction * min(image.height / height, image.width / width)
    left = (image.width - scale * width) / 2
    top = (image.height - scale * height) / 2
    box = (left, top, image.width - left, image.height - top)
    return _resize(image, size, box)


def _resize(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
) -> Image.Image:
    height, width = size
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def flip(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The image, mirrored left to right half of the time."""
    if rng.random() < 0.5:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def normalize(image: Image.Image) -> np.ndarray:
    """Pixels as float32 [H, W, 3], with ImageNet's channel mean 0 and deviation 1."""
    pixels = np.asarray(image)
    # (pixels / 255 - MEAN) / STD. Whole rows, because numpy is eight times as fast
    # along W * 3 values as along 3.
    rows = pixels.reshape(image.height, -1).astype(np.float32)
    rows *= np.tile(1 / (255 * STD), image.width)
    rows -= np.tile(MEAN / STD, image.width)
    return rows.reshape(pixels.shape)


def denormalize(pixels: np.ndarray) -> np.ndarray:
    """The uint8 [..., H, W, 3] image of normalized pixels, for pictures."""
    return np.clip((pixels * STD + MEAN) * 255 + 0.5, 0, 255).astype(np.uint8)


_GREY = (128, 128, 128)  # fills what moves in from outside the image

# An operation of RandAugment takes an image, the magnitude over 10, and a sign, which
# those that have a direction use.
_Operation = Callable[[Image.Image, float, int], Image.Image]


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=_GREY)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Operation:
    def enhance(image: Image.Image, m: float, sign: int) -> Image.Image:
        factor = 0.1 + 1.8 * m
        # Nothing to do at magnitude 5, and sharpness is the slowest way to do it.
        return image if factor == 1 else enhancer(image).enhance(factor)

    return enhance


# "RandAugment" (Cubuk et al. 2020), figure 2, on the scales of its authors' code. Some
# of these surprise: the four enhancements change nothing at magnitude 5, and solarize
# and posterize are strongest at 0. Translation by 0.45 is its 100 pixels of 224.
_OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, m, sign: image,
    "autocontrast": lambda image, m, sign: ImageOps.autocontrast(image),
    "equalize": lambda image, m, sign: ImageOps.equalize(image),
    "rotate": lambda image, m, sign: image.rotate(sign * 30 * m, fillcolor=_GREY),
    "solarize": lambda image, m, sign: ImageOps.solarize(image, int(256 * m)),
    "color": _enhance(ImageEnhance.Color),
    "posterize": lambda image, m, sign: ImageOps.posterize(image, max(1, int(4 * m))),
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear-x": lambda image, m, sign: _affine(image, 1, sign * 0.3 * m, 0, 0, 1, 0),
    "shear-y": lambda image, m, sign: _affine(image, 1, 0, 0, sign * 0.3 * m, 1, 0),
    "translate-x": lambda image, m, sign: _affine(
        image, 1, 0, sign * 0.45 * m * image.width, 0, 1, 0
    ),
    "translate-y": lambda image, m, sign: _affine(
        image, 1, 0, 0, 0, 1, sign * 0.45 * m * image.height
    ),
}


def rand_augment(
    image: Image.Image,
    rng: np.random.Generator,
    num_layers: int = 4,
    magnitude: float = 5,
) -> Image.Image:
    """The image after `num_layers` random operations, each of the same magnitude.

    "RandAugment" (Cubuk et al. 2020); Perceiver IO uses 4 layers of magnitude 5 on
    ImageNet.

    Args:
      image: an RGB image.
      rng: draws the operations (uniformly, with replacement) and directions.
      num_layers: how many operations to apply.
      magnitude: their strength, from 0 to 10.
    """
    operations = list(_OPERATIONS.values())
    for choice in rng.integers(len(operations), size=num_layers):
        sign = 1 if rng.random() < 0.5 else -1
        image = operations[choice](image, magnitude / 10, sign)
    return image


def mixup_cutmix(
    images: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    alpha: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mixes every example with its neighbour: MixUp one half, CutMix the other.

    MixUp (Zhang et al. 2018) draws each share from Beta(alpha, alpha). CutMix (Yun et
    al. 2019) draws the box's area from Beta(1, 1), the uniform distribution, whatever
    alpha is, as released Perceiver IO code does; a box that leaves the image is
    clipped, and labels are mixed by the area that is really pasted. Neighbours are of
    the same half. They are strangers, since batches are shuffled.

    Args:
      images: float [B, H, W, 3].
      labels: float [B, classes], one-hot or smooth.
      rng: draws one share or box per example.
      alpha: of MixUp; Perceiver IO uses 0.2.

    Returns:
      New images and labels of the same shapes and types.
    """
    batch, height, width, _ = images.shape
    half = batch // 2
    # The share that each example keeps, [B, 1].
    keep = np.ones((batch, 1), images.dtype)
    mixed = images.copy()
    neighbour = np.concatenate(
        [np.roll(np.arange(half), 1), np.roll(np.arange(half, batch), 1)]
    )
    keep[:half, 0] = rng.beta(alpha, alpha, size=half)
    for i in range(half):
        mixed[i] *= keep[i]
        mixed[i] += (1 - keep[i]) * images[neighbour[i]]
    for i in range(half, batch):
        box = _random_box(height, width, rng)
        mixed[i][box] = images[neighbour[i]][box]
        pasted = mixed[i][box].size / mixed[i].size
        keep[i] = 1 - pasted
    keep = keep.astype(labels.dtype)
    return mixed, keep * labels + (1 - keep) * labels[neighbour]


def _random_box(
    height: int, width: int, rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a box of uniform area around a uniform centre, clipped."""
    side = math.sqrt(rng.random())
    return _span(height, side, rng), _span(width, side, rng)


def _span(length: int, side: float, rng: np.random.Generator) -> slice:
    centre = int(rng.integers(length))
    reach = int(side * length) // 2
    return slice(max(centre - reach, 0), min(centre + reach, length))
