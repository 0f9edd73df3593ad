"""What is done to a pair of frames, wherever it came from.

A pair is `{"frames": [2, H, W, 3] uint8, "flow": [H, W, 2] float32 in pixels, "valid":
[H, W] bool}`, with "occluded" [H, W] bool where it is known, and a "name".
"""

import numpy as np

from perceiver_jax.data.sources import Example

MAX_FLOW = 1000.0  # pixels; more is taken for damage (RAFT has the same bound)


def mask_damage(pair: Example) -> Example:
    """Returns the pair with `damaged` [H, W] bool: valid flow that can't be true.

    It is NaN, or absurdly long. There it becomes 0 and not valid, so that neither a
    loss nor an interpolation meets it.
    """
    flow = pair["flow"]
    sane = np.linalg.norm(flow.astype(np.float64), axis=-1) <= MAX_FLOW  # not NaN
    return pair | {
        "flow": np.where((sane & pair["valid"])[..., None], flow, np.float32(0)),
        "valid": pair["valid"] & sane,
        "damaged": pair["valid"] & ~sane,
    }


def reverse(pair: Example) -> Example:
    """Returns the pair from the second frame to the first.

    Its flow is not known and is approximated as in the paper (Perceiver IO, appendix
    H): at each pixel, the mean of all flows that end there, turned round; not valid
    where none ends.
    """
    flow, valid = pair["flow"], pair["valid"]
    height, width = valid.shape
    y, x = np.nonzero(valid)
    end_x, end_y = np.rint(flow[y, x] + np.stack([x, y], -1)).astype(int).T
    inside = (0 <= end_x) & (end_x < width) & (0 <= end_y) & (end_y < height)
    pixels = (end_y * width + end_x)[inside]
    ending = flow[y, x][inside]
    count, *sums = (
        np.bincount(pixels, weights, height * width)
        for weights in (None, ending[:, 0], ending[:, 1])
    )
    mean = -np.stack(sums, -1) / np.maximum(count, 1)[:, None]
    return {
        "frames": pair["frames"][::-1],
        "flow": mean.reshape(height, width, 2).astype(np.float32),
        "valid": (count > 0).reshape(height, width),
        "damaged": np.zeros_like(valid),  # already counted
    }


def normalize(frames: np.ndarray) -> np.ndarray:
    """Returns frames uint8 as the model takes them, float32 from -1 to 1."""
    return frames.astype(np.float32) / 255 * 2 - 1


def denormalize(frames: np.ndarray) -> np.ndarray:
    """The inverse of `normalize`: frames as uint8."""
    return np.clip((frames + 1) / 2 * 255 + 0.5, 0, 255).astype(np.uint8)


def check_size(shape: tuple[int, int], least: tuple[int, int], name: str) -> None:
    """Raises ValueError if a frame is smaller than the model's, or than a part of it.

    Args:
      shape: height and width of the frame.
      least: model.image_size.
      name: what to call the frame.
    """
    if shape[0] < least[0] or shape[1] < least[1]:
        size = ",".join(str(min(pair)) for pair in zip(shape, least))
        raise ValueError(
            f"{name}: frames of {shape[0]}x{shape[1]} pixels are smaller than the "
            f"model's {least[0]}x{least[1]}: enlarge them, or use "
            f'--config.model.image_size="({size})".'
        )
