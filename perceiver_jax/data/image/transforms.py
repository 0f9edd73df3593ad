"""Crops, flips and normalization of RGB images of Pillow: pure functions.

A random operation draws from the generator that it is given, so a training image is a
function of (seed, step). No operation changes its input.
"""

import math

import numpy as np
from PIL import Image

# Channel statistics of ImageNet, of pixels in [0, 1].
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


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
    # Only a very long image comes here: next to no part of it has such an aspect.
    return center_crop(image, size, fraction=1.0)


def center_crop(
    image: Image.Image, size: tuple[int, int], fraction: float = 0.875
) -> Image.Image:
    """The middle of the image, resized (bicubic, antialiased); for evaluation.

    Args:
      image: any RGB image.
      size: height and width of the result, in pixels.
      fraction: side of the part, as a share of the largest part with the result's
        aspect; 0.875 is the papers' 224 out of 256.
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
