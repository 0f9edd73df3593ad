"""Pictures of optical flow: Middlebury's colours, arrows, error maps, panels."""

from collections.abc import Mapping

import numpy as np

from perceiver_jax import extras
from perceiver_jax.data.flow.pairs import denormalize

cv2 = extras.Library("cv2", extra="flow")
matplotlib = extras.Library("matplotlib", extra="flow")

_SMALLEST = 180  # pixels; lower pictures are magnified in a panel
_ARROWS = 16  # along the longer side
_TITLE = 22  # pixels of a row of titles
_BLACK = (0, 0, 0)

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


def draw_arrows(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Returns a picture [H, W, 3] uint8 with arrows from pixels to where they go.

    They are as long as flow [h, w, 2] says, at the picture's scale.
    """
    picture = np.ascontiguousarray(picture).copy()
    height, width = flow.shape[:2]
    scale = picture.shape[0] / height
    step = max(height, width) / _ARROWS
    for y in np.arange(step / 2, height, step):
        for x in np.arange(step / 2, width, step):
            dx, dy = flow[int(y), int(x)]
            length = scale * float(np.hypot(dx, dy))
            start, end = (
                np.rint(scale * np.array(point)).astype(int).tolist()
                for point in ((x, y), (x + dx, y + dy))
            )
            tip = min(0.35, 4 / max(length, 1))  # a share of the length
            cv2.arrowedLine(picture, start, end, _BLACK, 1, cv2.LINE_AA, tipLength=tip)
    return picture


def error_map(flow: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Returns the end-point error as colours: blue, yellow at 3 pixels, red.

    The scale is logarithmic, from 3/16 to 48 pixels, as in KITTI's pictures; black
    where flow is not known.
    """
    error = np.linalg.norm(flow - truth, axis=-1)
    level = (np.log2(np.maximum(error, 1e-6) / 3) + 4) / 8
    colors = matplotlib.colormaps["RdYlBu_r"](np.clip(level, 0, 1), bytes=True)
    return np.where(valid[..., None], colors[..., :3], np.uint8(0))


def panel(
    frames: np.ndarray, truth: np.ndarray, valid: np.ndarray, flow: np.ndarray
) -> np.ndarray:
    """Returns a pair, its true and its predicted flow, and the error, side by side.

    Args:
      frames: [2, H, W, 3] from -1 to 1.
      truth: [H, W, 2].
      valid: [H, W] bool, where `truth` is known; all False for no truth.
      flow: [H, W, 2], predicted.

    Returns:
      [h, w, 3] uint8; both flows are drawn at one scale.
    """
    truth = np.where(valid[..., None], truth, 0)
    shown = truth if valid.any() else flow
    # At least a pixel, or noise would be in full colour where hardly anything moves.
    largest = max(1.0, float(np.percentile(np.linalg.norm(shown, axis=-1), 99)))
    first, second = denormalize(frames)
    error = np.linalg.norm(flow - truth, axis=-1)[valid]
    title = f"error, mean {error.mean():.2f} px" if valid.any() else "error unknown"
    return side_by_side(
        {
            "first frame": first,
            "second frame": second,
            "true flow": np.where(valid[..., None], to_colors(truth, largest), 0),
            "predicted flow": to_colors(flow, largest),
            title: error_map(flow, truth, valid),
        },
        {"true flow": truth, "predicted flow": flow},
    )


def side_by_side(
    pictures: Mapping[str, np.ndarray], arrows: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Sets pictures of one size, by their titles, side by side, small ones magnified.

    `arrows` has the flow to draw over some of them, by title.
    """
    cells = []
    for title, picture in pictures.items():
        scale = max(1, -(-_SMALLEST // picture.shape[0]))
        cell = picture.astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
        if title in arrows:
            cell = draw_arrows(cell, arrows[title])
        cell = np.pad(cell, ((_TITLE, 2), (0, 2), (0, 0)), constant_values=255)
        font = cv2.FONT_HERSHEY_SIMPLEX
        place = (2, _TITLE - 7)
        cv2.putText(cell, title, place, font, 0.45, _BLACK, 1, cv2.LINE_AA)
        cells.append(cell)
    return np.concatenate(cells, axis=1)
