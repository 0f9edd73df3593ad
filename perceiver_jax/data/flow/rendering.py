"""Pairs of frames rendered from photos, with exact optical flow: nothing to download.

In the manner of AutoFlow (Sun et al. 2021): polygons cut from photos move over a photo,
each by a homography of its own, some deforming smoothly, with motion blur, fog and
noise.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from perceiver_jax import extras
from perceiver_jax.data.flow.layers import (
    Layer,
    grid,
    random_polygon,
    random_texture,
)
from perceiver_jax.data.flow.motion import (
    Homography,
    Motion,
    random_homography,
    random_waves,
)
from perceiver_jax.data.flow.photos import Photos
from perceiver_jax.data.sources import Example

cv2 = extras.Library("cv2", extra="flow")

_SHUTTER_STEPS = 5  # renderings that a motion-blurred frame is the mean of


@dataclasses.dataclass(frozen=True)
class Rendering:
    """What rendered pairs look like.

    Attributes:
      size: height and width of a frame.
      motion: scale of motion in pixels, of the camera and of each object before it;
        most pairs move less, about one frame in 20 has a corner that moves more.
      objects: the smallest and the largest number of polygons.
      zoom: the smallest and the largest number of a photo's pixels for one of a frame:
        small frames need more, or they show next to nothing.
      deformed: chance that a layer deforms smoothly.
      blurred: chance that a pair has motion blur.
      foggy: chance that it has fog.
      noisy: chance that it has noise, drawn anew for each frame.
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
        """Returns a copy where only the camera moves, by a homography.

        No objects, deformations, blur, fog or noise.
        """
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


def _random_scene(
    photos: Photos, rendering: Rendering, rng: np.random.Generator
) -> list[Layer]:
    """Draws the layers of a pair, the last one in front."""
    size, zoom, motion = rendering.size, rendering.zoom, rendering.motion
    camera = random_homography(rng, size, motion)
    texture, placement = random_texture(rng, photos, size, zoom)
    layers = [Layer(texture, placement, _random_motion(rng, rendering, camera))]
    for _ in range(rng.integers(*rendering.objects, endpoint=True)):
        mask, corner = random_polygon(rng, size)
        texture, placement = random_texture(rng, photos, size, zoom)
        moves = random_homography(rng, size, motion), camera
        moving = _random_motion(rng, rendering, *moves)
        layers.append(Layer(texture, placement, moving, mask, corner))
    return layers


def _random_motion(
    rng: np.random.Generator, rendering: Rendering, *homographies: Homography
) -> Motion:
    """Returns homographies as a motion, perhaps with a deformation before them."""
    if rng.random() < rendering.deformed:
        waves = random_waves(rng, rendering.size, rendering.motion)
        return Motion(homographies, waves)
    return Motion(homographies)


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
    start = grid((slice(0, height), slice(0, width)), np.float64)
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
