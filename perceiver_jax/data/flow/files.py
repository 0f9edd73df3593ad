"""Optical flow on the host: .flo files, colours, and frames larger than the model's."""

import itertools
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

_MAGIC = np.float32(202021.25)  # first number of every .flo file
_MAX_SIDE = 100_000  # of a frame that a .flo file may claim

MIN_OVERLAP = 20  # pixels that neighbouring tiles share at least (released model)


def write_flo(path: pathlib.Path, flow: np.ndarray) -> None:
    """Writes flow [H, W, 2] in pixels as a Middlebury .flo file."""
    height, width, _ = flow.shape
    with path.open("wb") as file:
        file.write(_MAGIC.astype("<f4").tobytes())
        file.write(np.array([width, height], "<i4").tobytes())
        file.write(flow.astype("<f4").tobytes())


def read_flo(path: pathlib.Path) -> np.ndarray:
    """Reads a Middlebury .flo file.

    Returns:
      [H, W, 2] float32: x and y displacement in pixels.

    Raises:
      ValueError: it is no .flo file, or a truncated one.
    """
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != _MAGIC:
        raise ValueError(f"{path} is no .flo file.")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    sane = 0 < width < _MAX_SIDE and 0 < height < _MAX_SIDE
    if not sane or len(data) != 12 + 8 * width * height:
        raise ValueError(
            f"{path} says {height}x{width} pixels and has {len(data)} bytes: it is "
            "damaged or truncated."
        )
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).copy()


# Steps from each colour of the wheel to the next: red, yellow, green, cyan, blue,
# magenta and back (Baker et al., A Database and Evaluation Methodology for Optical
# Flow, 2011).
_STEPS = (15, 6, 4, 11, 13, 6)
_CORNERS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1))


def _color_wheel() -> np.ndarray:
    corners = np.array([*_CORNERS, _CORNERS[0]], np.float64)
    parts = [
        start + (end - start) * np.floor(255 * np.arange(steps) / steps)[:, None] / 255
        for start, end, steps in zip(corners, corners[1:], _STEPS)
    ]
    return np.concatenate(parts)


def to_colors(flow: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Returns flow as Middlebury colours: hue is direction, saturation is length.

    Args:
      flow: [H, W, 2] in pixels.
      largest: length that is fully saturated, longer ones are darkened; the longest
        of this flow by default.

    Returns:
      [H, W, 3] uint8; white where nothing moves.
    """
    wheel = _color_wheel()
    length = np.linalg.norm(flow.astype(np.float64), axis=-1)
    length = length / max(largest or float(length.max()), 1e-9)
    angle = np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi  # -1 to 1
    place = (angle + 1) / 2 * (len(wheel) - 1)
    low = np.floor(place).astype(int)
    share = (place - low)[..., None]
    hue = wheel[low] * (1 - share) + wheel[(low + 1) % len(wheel)] * share
    inside = 1 - length[..., None] * (1 - hue)
    color = np.where(length[..., None] <= 1, inside, 0.75 * hue)
    return np.floor(255 * color).astype(np.uint8)


def tile_starts(length: int, tile: int) -> list[int]:
    """Returns where tiles start along an axis, the last one flush with its end.

    They overlap by MIN_OVERLAP at least, or half a tile if that is less.

    Raises:
      ValueError: the axis is shorter than a tile.
    """
    if length < tile:
        raise ValueError(f"{length} pixels are fewer than a tile of {tile}.")
    starts = range(0, length - tile, tile - min(MIN_OVERLAP, tile // 2))
    return [*starts, length - tile]


def tiles(
    shape: tuple[int, int], tile: tuple[int, int]
) -> Iterator[tuple[slice, slice]]:
    """Yields the rows and columns of every tile of an image."""
    rows, columns = (tile_starts(*sizes) for sizes in zip(shape, tile))
    for row, column in itertools.product(rows, columns):
        yield slice(row, row + tile[0]), slice(column, column + tile[1])


def blend_tiles(
    frames: np.ndarray,
    tile: tuple[int, int],
    predict: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Returns the flow of frames of any size from a model of one size.

    Where tiles overlap their flows are averaged, each weighted by the distance to its
    tile's nearest edge (Perceiver IO, appendix H).

    Args:
      frames: [2, H, W, 3].
      tile: height and width of what `predict` takes.
      predict: [2, *tile, 3] -> [*tile, 2].

    Returns:
      [H, W, 2] float32.

    Raises:
      ValueError: the frames are smaller than a tile.
    """
    height, width = frames.shape[1:3]
    if height < tile[0] or width < tile[1]:
        raise ValueError(
            f"Frames of {height}x{width} pixels are smaller than the model's "
            f"{tile[0]}x{tile[1]}: enlarge them first."
        )
    distances = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in tile)
    weight = np.minimum.outer(*distances).astype(np.float32)[..., None]
    total = np.zeros((height, width, 2), np.float32)
    weights = np.zeros((height, width, 1), np.float32)
    for rows, columns in tiles((height, width), tile):
        flow = predict(frames[:, rows, columns])
        total[rows, columns] += weight * flow
        weights[rows, columns] += weight
    return total / weights
