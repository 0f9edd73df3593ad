"""Layers of a rendered scene: a texture, an outline and a motion each."""

import dataclasses

import numpy as np
from scipy.interpolate import CubicSpline

from perceiver_jax import extras
from perceiver_jax.data.flow.motion import Motion, project
from perceiver_jax.data.flow.photos import Photos

cv2 = extras.Library("cv2", extra="flow")

_SUBPIXEL_BITS = 4  # of polygons' corners


@dataclasses.dataclass(frozen=True)
class Layer:
    """A texture that moves, and its outline in the first frame.

    Attributes:
      texture: [h, w, 3] uint8, mirrored beyond its edges.
      placement: [3, 3], maps points of the first frame to points of the texture.
      motion: of the layer.
      mask: [h, w] uint8, its opacity; None covers the whole frame.
      corner: [2], where the mask's first pixel lies in the first frame.
    """

    texture: np.ndarray
    placement: np.ndarray
    motion: Motion
    mask: np.ndarray | None = None
    corner: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))

    def region(self, t: float, size: tuple[int, int]) -> tuple[slice, slice]:
        """Returns the rows and columns of a frame that hold it at time t."""
        if self.mask is None:
            return slice(0, size[0]), slice(0, size[1])
        # A deformation may push the border beyond its corners: all of it is moved.
        height, width = self.mask.shape
        x, y = np.linspace(0, width - 1, 16), np.linspace(0, height - 1, 16)
        border = np.concatenate(
            [[x, 0 * x], [x, 0 * x + height - 1], [0 * y, y], [0 * y + width - 1, y]], 1
        )
        moved = self.motion.forward(border + self.corner[:, None], t)
        margin = 2
        first = np.floor(moved.min(1)).astype(int) - margin
        last = np.ceil(moved.max(1)).astype(int) + margin
        (left, top), (right, bottom) = (
            np.clip(corner, 0, size[::-1]) for corner in (first, last + 1)
        )
        return slice(top, bottom), slice(left, right)

    def sample(
        self, t: float, region: tuple[slice, slice]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns colours [h, w, 3] and opacity [h, w], 0 to 1, in a region."""
        points = self.motion.backward(grid(region, np.float32), t)
        x, y = project(self.placement, points)
        mirrored = cv2.BORDER_REFLECT_101
        colors = cv2.remap(self.texture, x, y, cv2.INTER_CUBIC, borderMode=mirrored)
        if self.mask is None:
            return colors, np.ones(colors.shape[:2], np.float32)
        x, y = points - self.corner.astype(np.float32)[:, None, None]
        opacity = cv2.remap(self.mask, x, y, cv2.INTER_LINEAR)
        return colors, opacity.astype(np.float32) / 255


def grid(region: tuple[slice, slice], dtype) -> np.ndarray:
    """Returns the points of a region, [2, h, w]."""
    rows, columns = region
    y, x = np.mgrid[rows, columns]
    return np.stack([x, y]).astype(dtype)


def random_texture(
    rng: np.random.Generator,
    photos: Photos,
    size: tuple[int, int],
    zoom: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a part of a photo in other colours, and where it is put.

    Args:
      rng: decides the part, its colours and its place.
      photos: to cut it from.
      size: height and width of a frame.
      zoom: bounds of the number of a photo's pixels for one of a frame.

    Returns:
      `Layer.texture` and `Layer.placement`.
    """
    photo = photos[int(rng.integers(len(photos)))]
    if min(photo.shape[:2]) < 2:  # OpenCV would mirror it for ever
        raise ValueError(f"A photo of {photo.shape[:2]} pixels is too small to render.")
    scale = np.exp(rng.uniform(*np.log(zoom)))
    part = []
    for side, length in zip(size, photo.shape):
        taken = min(length, int(np.ceil(scale * side)))
        start = rng.integers(length - taken + 1)
        part.append(slice(start, start + taken))
    texture = photo[tuple(part)]
    if scale > 1:  # or fine texture would flicker from frame to frame
        shape = (max(2, round(n / scale)) for n in texture.shape[1::-1])
        texture = cv2.resize(texture, tuple(shape), interpolation=cv2.INTER_AREA)
        scale = 1.0
    gains = rng.uniform(0.6, 1.2, 3).astype(np.float32)
    texture = np.clip(texture[..., rng.permutation(3)] * gains, 0, 255)
    angle = rng.uniform(0, 2 * np.pi)
    mirror = rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placement = np.eye(3)
    placement[:2, :2] = scale * turn * [mirror, 1]
    frame_middle, texture_middle = (
        np.array(shape[1::-1]) / 2 for shape in (size, texture.shape)
    )
    placement[:2, 2] = texture_middle - placement[:2, :2] @ frame_middle
    return np.ascontiguousarray(texture.astype(np.uint8)), placement


def random_polygon(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a polygon, perhaps with round corners or a hole, somewhere in a frame.

    Returns:
      `Layer.mask` and `Layer.corner`.
    """
    count = int(rng.integers(3, 10))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.4, 0.4, count)) / count
    radii = rng.uniform(0.3, 1, count)
    if rng.random() < 0.5:  # round
        around = CubicSpline(
            [*angles, angles[0] + 2 * np.pi], [*radii, radii[0]], bc_type="periodic"
        )
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radii = np.maximum(around(angles), 0.1)
    radius = min(size) * np.exp(rng.uniform(np.log(0.08), np.log(0.4)))
    length = np.exp(rng.uniform(-0.5, 0.5))
    stretch = radius * np.array([[length, 0], [0, 1 / length]])
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outline = turned @ stretch @ (radii * np.stack([np.cos(angles), np.sin(angles)]))
    outlines = [outline]
    if rng.random() < 0.2:
        outlines.append(outline * rng.uniform(0.3, 0.7))
    first = np.floor(outline.min(1)) - 2
    width, height = (np.ceil(outline.max(1)) + 3 - first).astype(int)
    mask = np.zeros((height, width), np.uint8)
    corners = [
        np.rint((line - first[:, None]).T * 2**_SUBPIXEL_BITS).astype(np.int32)
        for line in outlines
    ]
    cv2.fillPoly(mask, corners, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    center = np.floor(rng.uniform(-0.1, 1.1, 2) * size[::-1])
    return mask, center + first
