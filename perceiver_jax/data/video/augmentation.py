"""Crops, flips and colours of a clip, the same for all its frames.

As of single images in data/image/transforms.py: functions of a clip and a generator.
"""

import numpy as np
from PIL import Image, ImageEnhance

from perceiver_jax.data.image import transforms

_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def inception_crop(
    frames: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    area: tuple[float, float] = (0.08, 1.0),
) -> np.ndarray:
    """Returns the same random part of all frames, resized.

    Args:
      frames: [T, h, w, 3] uint8.
      size: height and width of the result.
      rng: decides the part.
      area: bounds of the part's share of the frame, drawn uniformly.

    Returns:
      [T, H, W, 3] uint8.
    """
    seed = rng.integers(2**63)  # so that each frame draws the same numbers
    crops = [
        transforms.inception_crop(
            Image.fromarray(frame), size, np.random.default_rng(seed), area
        )
        for frame in frames
    ]
    return np.stack([np.asarray(crop) for crop in crops])


def flip(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns frames [T, H, W, 3], mirrored left to right half of the time."""
    return frames[:, :, ::-1] if rng.random() < 0.5 else frames


def color_jitter(
    frames: np.ndarray,
    rng: np.random.Generator,
    strength: float = 0.4,
    hue: float = 0.1,
) -> np.ndarray:
    """Returns frames in other colours, all changed alike.

    Args:
      frames: [T, H, W, 3] uint8.
      rng: draws the changes and their order.
      strength: the largest change of brightness, contrast and saturation, as a share.
      hue: the largest change of hue, in turns of the colour circle.

    Returns:
      [T, H, W, 3] uint8.
    """
    factors = 1 + rng.uniform(-strength, strength, 3)
    turn = round(256 * rng.uniform(-hue, hue))
    order = rng.permutation(4)

    # As one tall image: contrast then changes about the mean of the whole clip.
    image = Image.fromarray(frames.reshape(-1, *frames.shape[2:]))
    for number in order:
        if number == 3:
            image = _turn_hue(image, turn)
        else:
            image = _ENHANCERS[number](image).enhance(max(0.0, factors[number]))
    return np.asarray(image).reshape(frames.shape)


def _turn_hue(image: Image.Image, turn: int) -> Image.Image:
    hue, *others = image.convert("HSV").split()
    hue = hue.point([(value + turn) % 256 for value in range(256)])
    return Image.merge("HSV", [hue, *others]).convert("RGB")
