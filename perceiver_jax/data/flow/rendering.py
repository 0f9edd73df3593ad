"""Pairs of frames rendered from photos, with exact optical flow: nothing to download.

In the manner of AutoFlow (Sun et al. 2021): polygons cut from photos move over a photo,
each by a homography of its own, some deforming smoothly, with motion blur, fog and
noise.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from perceiver_jax import extras
from perceiver_jax.data.flow.motion import (
    Motion,
    project,
    random_homography,
    random_waves,
)
from perceiver_jax.data.sources import Example, SkipCorrupt

cv2 = extras.Library("cv2", extra="flow")

Photos = Sequence[np.ndarray] | SkipCorrupt  # [h, w, 3] uint8, by index

_SHUTTER_STEPS = 5  # renderings that a motion-blurred frame is the mean of
_SUBPIXEL_BITS = 4  # of polygons' corners


@dataclasses.dataclass(frozen=True)
class Rendering:
    """What rendered pairs look like.

    Attributes:
      size: height and width of a frame.
      motion: pixels that the camera, and an object before it, move by: mostly less, as
        strong motion is rarer than weak; a corner of one frame in 20 moves by more.
      objects: the smallest and the largest number of polygons.
      zoom: the smallest and the largest number of a photo's pixels for one of a frame:
        small frames need more, or they show next to nothing.
      deformed: chance of a smooth deformation, for each layer.
      blurred: chance of motion blur, for a pair; so with the two below.
      foggy: chance of fog.
      noisy: chance of noise, drawn anew for each frame.
    """

    size: tuple[int, int]
    motion: float
    objects: tuple[int, int] = (2, 8)
    zoom: tuple[float, float] = (0.5, 2.0)
    deformed: float = 0.3
    blurred: float = 0.2
    foggy: float = 0.2
    noisy: float = 0.5

    def __post_init__(self):
        """Raises ValueError: sizes or numbers that nothing can be rendered with."""
        if len(self.objects) != 2 or len(self.zoom) != 2:
            raise ValueError(
                f"objects={self.objects} and zoom={self.zoom} must be the smallest and "
                "the largest of them."
            )
        (fewest, most), (nearest, farthest) = self.objects, self.zoom
        falls = not (0 <= fewest <= most and 0 < nearest <= farthest)
        too_far = not 0 <= self.motion <= min(self.size)
        if min(self.size) < 8 or too_far or falls:
            raise ValueError(
                f"size={self.size} must be 8 pixels or more, motion={self.motion} from "
                f"0 to the shorter side, objects={self.objects} and zoom={self.zoom} "
                "must not fall."
            )

    def only_homographies(self) -> "Rendering":
        """Returns the same of photos as they are, which the camera alone moves over."""
        return dataclasses.replace(
            self, objects=(0, 0), deformed=0, blurred=0, foggy=0, noisy=0
        )


class RenderedPairs:
    """A source of pairs, each a function of (seed, index) alone.

    An example is `{"frames": [2, H, W, 3] uint8, "flow": [H, W, 2] float32 in pixels,
    "valid": [H, W] bool, "occluded": [H, W] bool, "name": str}`. Flow is known of every
    pixel, also of one that the second frame does not show.
    """

    def __init__(
        self,
        photos: Photos,
        rendering: Rendering,
        count: int,
        seed: int = 0,
    ):
        """Makes the source.

        Args:
          photos: [h, w, 3] uint8 of 2 pixels or more; textures are cut from them.
          rendering: what pairs look like.
          count: of pairs.
          seed: of all of them.

        Raises:
          ValueError: there is no photo, or no pair.
        """
        if not len(photos) or count < 1:
            raise ValueError(
                f"{count} pairs of {len(photos)} photos: at least one of each is needed"
            )
        self._photos = photos
        self._rendering = rendering
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        """The number of pairs."""
        return self._count

    def __getitem__(self, index: int) -> Example:
        """Renders the pair at `index`."""
        index = range(self._count)[index]
        rng = np.random.default_rng([self._seed, index])
        pair = render(self._photos, self._rendering, rng)
        return pair | {"name": f"rendered pair {index} of seed {self._seed}"}


def render(photos: Photos, rendering: Rendering, rng: np.random.Generator) -> Example:
    """Returns one pair, as `RenderedPairs` gives it, without a name."""
    layers = _random_scene(photos, rendering, rng)
    spread = np.zeros(1)
    if rng.random() < rendering.blurred:
        spread = rng.uniform(0.2, 0.8) * np.linspace(-0.5, 0.5, _SHUTTER_STEPS)
    drawn = [[_draw(layers, t + s, rendering.size) for s in spread] for t in (0, 1)]
    frames = np.stack([np.mean([frame for frame, _ in steps], 0) for steps in drawn])
    before, after = (steps[len(spread) // 2][1] for steps in drawn)
    if rng.random() < rendering.foggy:
        _add_fog(frames, rng)
    if rng.random() < rendering.noisy:
        noise = rng.standard_normal(frames.shape, np.float32)
        frames += rng.uniform(0, 10) * noise
    flow, occluded = _exact_flow(layers, before, after)
    return {
        "frames": np.clip(frames + 0.5, 0, 255).astype(np.uint8),
        "flow": flow,
        "valid": np.ones(rendering.size, bool),
        "occluded": occluded,
    }


# Scenes: layers, the last one in front.


@dataclasses.dataclass(frozen=True)
class Layer:
    """A texture that moves, and its outline in the first frame.

    Attributes:
      texture: [h, w, 3] uint8, mirrored beyond its edges.
      placement: [3, 3], from the first frame to the texture.
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
        # The mask's border moves on to what may lie around the layer, not a corner.
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
        points = self.motion.backward(_grid(region, np.float32), t)
        x, y = project(self.placement, points)
        mirrored = cv2.BORDER_REFLECT_101
        colors = cv2.remap(self.texture, x, y, cv2.INTER_CUBIC, borderMode=mirrored)
        if self.mask is None:
            return colors, np.ones(colors.shape[:2], np.float32)
        x, y = points - self.corner.astype(np.float32)[:, None, None]
        opacity = cv2.remap(self.mask, x, y, cv2.INTER_LINEAR)
        return colors, opacity.astype(np.float32) / 255


def _grid(region: tuple[slice, slice], dtype) -> np.ndarray:
    """Returns the points of a region, [2, h, w]."""
    rows, columns = region
    y, x = np.mgrid[rows, columns]
    return np.stack([x, y]).astype(dtype)


def _random_scene(photos, rendering: Rendering, rng) -> list[Layer]:
    def moves(*homographies):
        waves = ()
        if rng.random() < rendering.deformed:
            waves = random_waves(rng, rendering.size, rendering.motion)
        return Motion(homographies, waves)

    def homography():
        return random_homography(rng, rendering.size, rendering.motion)

    camera = homography()
    layers = [Layer(*_random_texture(photos, rendering, rng), moves(camera))]
    for _ in range(rng.integers(*rendering.objects, endpoint=True)):
        mask, corner = _random_polygon(rng, rendering.size)
        texture, placement = _random_texture(photos, rendering, rng)
        motion = moves(homography(), camera)
        layers.append(Layer(texture, placement, motion, mask, corner))
    return layers


def _random_texture(photos, rendering, rng) -> tuple[np.ndarray, np.ndarray]:
    """A part of a photo in other colours, and where it is put: `Layer.placement`."""
    photo = photos[rng.integers(len(photos))]
    if min(photo.shape[:2]) < 2:  # OpenCV would mirror it for ever
        raise ValueError(f"A photo of {photo.shape[:2]} pixels is too small to render.")
    zoom = np.exp(rng.uniform(*np.log(rendering.zoom)))
    part = []
    for side, length in zip(rendering.size, photo.shape):
        taken = min(length, int(np.ceil(zoom * side)))
        start = rng.integers(length - taken + 1)
        part.append(slice(start, start + taken))
    texture = photo[tuple(part)]
    if zoom > 1:  # or fine texture would flicker from frame to frame
        shape = (max(2, round(n / zoom)) for n in texture.shape[1::-1])
        texture = cv2.resize(texture, tuple(shape), interpolation=cv2.INTER_AREA)
        zoom = 1.0
    gains = rng.uniform(0.6, 1.2, 3).astype(np.float32)
    texture = np.clip(texture[..., rng.permutation(3)] * gains, 0, 255)
    angle = rng.uniform(0, 2 * np.pi)
    mirror = rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placement = np.eye(3)
    placement[:2, :2] = zoom * turn * [mirror, 1]
    frame_middle, texture_middle = (
        np.array(shape[1::-1]) / 2 for shape in (rendering.size, texture.shape)
    )
    placement[:2, 2] = texture_middle - placement[:2, :2] @ frame_middle
    return np.ascontiguousarray(texture.astype(np.uint8)), placement


def _random_polygon(rng, size) -> tuple[np.ndarray, np.ndarray]:
    """A polygon, perhaps with round corners or a hole: `Layer.mask` and `corner`."""
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


# Pictures of scenes.


def _draw(
    layers: Sequence[Layer], t: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the frame at time t.

    Returns:
      [H, W, 3] float32 from 0 to 255, and the number of the layer that each pixel
      shows most of, [H, W].
    """
    frame = np.zeros((*size, 3), np.float32)
    shown = np.zeros(size, int)
    for number, layer in enumerate(layers):
        region = layer.region(t, size)
        part = frame[region]
        if part.size:
            colors, opacity = layer.sample(t, region)
            part += opacity[..., None] * (colors - part)
            shown[region][opacity > 0.5] = number
    return frame, shown


def _exact_flow(
    layers: Sequence[Layer], before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns flow [H, W, 2], and where the second frame does not show the pixel.

    Args:
      layers: of the scene.
      before: [H, W], the layer that each pixel of the first frame shows.
      after: the same of the second.
    """
    height, width = before.shape
    start = _grid((slice(0, height), slice(0, width)), np.float64)
    end = np.empty_like(start)
    for number, layer in enumerate(layers):
        pixels = before == number
        end[:, pixels] = layer.motion.forward(start[:, pixels], 1.0)
    x, y = np.rint(end).astype(int)
    inside = (0 <= x) & (x < width) & (0 <= y) & (y < height)
    occluded = ~inside
    occluded[inside] = after[y[inside], x[inside]] != before[inside]
    return np.moveaxis(end - start, 0, -1).astype(np.float32), occluded


def _add_fog(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Adds the same fog to frames [2, H, W, 3], uneven and still."""
    height, width = frames.shape[1:3]
    coarse = rng.uniform(0, 0.6, (3, 4)).astype(np.float32)
    density = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    frames += density[..., None] * (rng.uniform(140, 255) - frames)
