"""Augmentation of pairs of frames, at a strength that a curriculum sets.

What is changed, and how much at strength 1, is as in RAFT (Teed & Deng 2020, section 4)
which AutoFlow takes over (Sun et al. 2021): colours, an eraser, scale, stretch, flips.
"""

import numpy as np
from PIL import Image, ImageEnhance

from perceiver_jax import extras
from perceiver_jax.data.flow.pairs import check_size
from perceiver_jax.data.sources import Example

cv2 = extras.Library("cv2", extra="flow")

# Values at strength 1. Strength scales how far colours and sizes change, and the chance
# that something is erased; the other chances stay.
_COLOR = 0.4  # brightness, contrast and saturation, as a share either way
_HUE = 0.5 / np.pi  # of a turn, either way
_ASYMMETRIC = 0.2  # chance that the frames' colours change apart
_ERASED = 0.5  # chance that parts of the second frame are hidden
_ERASED_SIDE = (0.13, 0.27)  # of the crop's shorter side: 50 to 100 of 368 pixels
_SCALED = 0.8  # chance of another scale
_SCALE = (-0.2, 0.6)  # as a power of 2
_STRETCHED = 0.8  # chance that the axes then scale apart
_STRETCH = 0.2  # of either axis, as a power of 2 either way
_FLIPPED = (0.5, 0.1)  # chance, left to right and upside down


def augment(
    pair: Example, rng: np.random.Generator, size: tuple[int, int], strength: float
) -> Example:
    """Returns a random part of a pair, changed at random.

    Args:
      pair: of pairs.mask_damage.
      rng: decides the part and all changes.
      size: height and width of the part.
      strength: 0 cuts out a part and changes nothing, 1 is RAFT's.

    Returns:
      "frames", "flow", "valid" and "damaged" of the new size.

    Raises:
      ValueError: the frames are smaller than the part.
    """
    check_size(pair["valid"].shape, size, pair["name"])
    part = _cut(pair, rng, size, strength)
    if strength:
        frames = _change_colors(part["frames"], rng, strength)
        if rng.random() < strength * _ERASED:
            _erase(frames[1], rng)
        part["frames"] = frames
    return part


def _cut(pair, rng, size, strength):
    """Scales, flips and cuts out, all in one resampling."""
    shape = np.array(pair["valid"].shape)
    scale = np.ones(2)  # of y and x: new pixels for an old one
    flip = np.array([False, False])
    if strength:
        flip = rng.random(2) < np.array(_FLIPPED[::-1])
        if rng.random() < _SCALED:
            power = np.full(2, rng.uniform(*_SCALE))
            if rng.random() < _STRETCHED:
                power += rng.uniform(-_STRETCH, _STRETCH, 2)
            scale = 2 ** (strength * power)
            scale = np.maximum(scale, np.array(size) / shape)
    room = np.maximum(np.floor(shape * scale).astype(int) - size, 0)
    start = rng.integers(room + 1)
    if (scale == 1).all():
        rows, columns = (slice(*ends) for ends in zip(start, start + size))
        part = {
            "frames": pair["frames"][:, rows, columns],
            **{k: pair[k][rows, columns] for k in ("flow", "valid", "damaged")},
        }
    else:
        part = _resample(pair, start, scale, size)
    axes = tuple(np.flatnonzero(flip))
    part = {k: np.flip(x, [a + (k == "frames") for a in axes]) for k, x in part.items()}
    sign = np.where(flip, -1, 1)[::-1]
    part["flow"] = (part["flow"] * (sign * scale[::-1])).astype(np.float32)
    return part


def _resample(pair, start, scale, size):
    """Cuts a part out of what the pair would be at another scale."""
    # Pixel i of the part is pixel (i + start + 1/2) / scale - 1/2 of the pair.
    matrix = np.zeros((2, 3))
    matrix[0, 0], matrix[1, 1] = 1 / scale[::-1]
    matrix[:, 2] = ((start + 0.5) / scale - 0.5)[::-1]

    def warp(array, interpolation):
        return cv2.warpAffine(
            array,
            matrix,
            size[::-1],
            flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    # Between known and unknown flow nothing is true: sparse flow takes the nearest.
    dense = pair["valid"].all()
    marks = np.stack([pair["valid"], pair["damaged"]], -1).astype(np.uint8)
    valid, damaged = np.moveaxis(warp(marks, cv2.INTER_NEAREST), -1, 0).astype(bool)
    return {
        "frames": np.stack([warp(f, cv2.INTER_LINEAR) for f in pair["frames"]]),
        "flow": warp(pair["flow"], cv2.INTER_LINEAR if dense else cv2.INTER_NEAREST),
        "valid": valid,
        "damaged": damaged,
    }


def _change_colors(frames, rng, strength):
    """Returns frames [2, H, W, 3] uint8 in other colours, mostly the same in both."""
    if rng.random() < _ASYMMETRIC:
        return np.stack([_jitter(frame, rng, strength) for frame in frames])
    return _jitter(frames.reshape(-1, *frames.shape[2:]), rng, strength).reshape(
        frames.shape
    )


def _jitter(pixels, rng, strength):
    image = Image.fromarray(np.ascontiguousarray(pixels))
    for number in rng.permutation(4):
        if number == 3:
            turn = round(256 * strength * rng.uniform(-_HUE, _HUE))
            hue, *others = image.convert("HSV").split()
            hue = hue.point([(value + turn) % 256 for value in range(256)])
            image = Image.merge("HSV", [hue, *others]).convert("RGB")
        else:
            enhance = (
                ImageEnhance.Brightness,
                ImageEnhance.Contrast,
                ImageEnhance.Color,
            )[number]
            change = strength * rng.uniform(-_COLOR, _COLOR)
            image = enhance(image).enhance(max(0.0, 1 + change))
    return np.array(image)


def _erase(frame, rng):
    """Paints one or two boxes of a frame [H, W, 3] over with its mean colour."""
    color = frame.mean((0, 1))
    shape = frame.shape[:2]
    for _ in range(rng.integers(1, 3)):
        sides = np.ceil(min(shape) * rng.uniform(*_ERASED_SIDE, 2)).astype(int)
        top, left = rng.integers(shape)
        frame[top : top + sides[0], left : left + sides[1]] = color
