"""RandAugment, MixUp and CutMix: pure functions of images and a generator."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_GREY = (128, 128, 128)  # of what moves in from outside the image

# An operation of RandAugment: (image, magnitude / 10, sign of its direction) -> image.
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
