"""Rendered clips of shapes that sound as they move: nothing to download.

A class is a shape and a sound, such as "circle, buzz": frames tell the shape, sound
tells the sound, and only both together tell the class.
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from perceiver_jax.data.sources import Example

# The sides of a regular polygon; a circle has none.
_SIDES = {"circle": 0, "square": 4, "triangle": 3}

_RADIUS = (0.18, 0.3)  # of a circle, in shorter sides of the frame
_SPEED = (0.5, 1.5)  # shorter sides a second, along either axis
_SPIN = 1.0  # radians a second, either way
_LOUDNESS = (0.3, 0.55)  # of the smallest and the largest shape
_OCTAVES = 2  # from the lower edge of the frame to the upper one
_LOWEST = 220.0  # Hz, at the lower edge
# Or this share of the sampling rate, so that overtones are below half of it.
_LOWEST_SHARE = 1 / 32


def _sine(phase: np.ndarray, beat: np.ndarray) -> np.ndarray:
    del beat
    return np.sin(phase)


def _buzz(phase: np.ndarray, beat: np.ndarray) -> np.ndarray:
    del beat
    overtones = np.sin(phase) + np.sin(2 * phase) + np.sin(3 * phase)
    return overtones / np.sqrt(3)


def _tremolo(phase: np.ndarray, beat: np.ndarray) -> np.ndarray:
    return np.sin(phase) * (1 + np.cos(beat)) / np.sqrt(1.5)


# From the phase of the tone and of a slow beat, both in radians; all of equal power,
# so that loudness does not tell one from another.
_SOUNDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sine": _sine,
    "buzz": _buzz,
    "tremolo": _tremolo,
}

_CLASSES = tuple(itertools.product(_SIDES, _SOUNDS))


@dataclasses.dataclass(frozen=True)
class RenderedClips:
    """A source of clips, each a function of (seed, first + index) alone.

    A shape moves over two colours that run into each other, turns, and rebounds from
    the edges. Its height is the pitch of its tone, its size the loudness.

    An example is `{"video": [T, H, W, 3] uint8, "audio": [T * samples_per_frame, 1]
    float32 in [-1, 1], "label": (class id,), "name": str}`. Sound begins with the first
    frame. Classes take turns, so all are equally many.

    Attributes:
      count: of clips.
      size: height and width of a frame.
      frames: of a clip, T.
      samples_per_frame: of sound; 1,920 at 25 frames and 48,000 samples a second.
      seed: of all clips.
      first: the number of the first clip. Where one source ends, another one may
        begin: no two of their clips are alike.
      frames_per_second: how long a frame is shown.
    """

    count: int
    size: tuple[int, int]
    frames: int
    samples_per_frame: int
    seed: int = 0
    first: int = 0
    frames_per_second: float = 25.0

    def __post_init__(self):
        """Raises ValueError: sizes or numbers that nothing can be rendered with."""
        if min(self.size) < 8 or self.frames < 1 or self.samples_per_frame < 32:
            raise ValueError(
                f"size={self.size} must be 8 pixels or more, frames={self.frames} 1 or"
                f" more, samples_per_frame={self.samples_per_frame} 32 or more."
            )
        if self.count < 1 or min(self.first, self.seed) < 0:
            raise ValueError(
                f"count={self.count} must be 1 or more, first={self.first} and"
                f" seed={self.seed} not negative."
            )

    @property
    def class_names(self) -> list[str]:
        """The name of every class id."""
        return [", ".join(names) for names in _CLASSES]

    @property
    def sample_rate(self) -> float:
        """Samples a second."""
        return self.samples_per_frame * self.frames_per_second

    def __len__(self) -> int:
        """The number of clips."""
        return self.count

    def __getitem__(self, index: int) -> Example:
        """Renders the clip at `index`."""
        number = self.first + range(self.count)[index]
        rng = np.random.default_rng([self.seed, number])
        label = number % len(_CLASSES)
        shape, sound = _CLASSES[label]
        path = _random_path(rng, self.size)
        return {
            "video": self._draw(shape, path, rng),
            "audio": self._play(sound, path, rng),
            "label": (label,),
            "name": f"rendered clip {number} of seed {self.seed}: {shape}, {sound}",
        }

    def _draw(self, shape: str, path: "_Path", rng: np.random.Generator) -> np.ndarray:
        """Returns frames [T, H, W, 3] uint8."""
        times = np.arange(self.frames, dtype=np.float32) / self.frames_per_second
        y, x = path.position(times)
        rows, columns = (np.arange(n, dtype=np.float32) for n in self.size)
        dy = (rows - y[:, None])[:, :, None]
        dx = (columns - x[:, None])[:, None, :]
        angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-_SPIN, _SPIN) * times
        outside = _distance(_SIDES[shape], path.radius, dy, dx, angle)
        opacity = np.clip(0.5 - outside, 0, 1)[..., None]
        ground = _random_ground(rng, self.size)
        color = _random_color(rng, darkest=0.6, brightest=1.0)
        frames = ground + opacity * (color - ground)
        return (255 * frames + 0.5).astype(np.uint8)

    def _play(self, sound: str, path: "_Path", rng: np.random.Generator) -> np.ndarray:
        """Returns sound [samples, 1] float32."""
        times = np.arange(self.frames * self.samples_per_frame) / self.sample_rate
        y, _ = path.position(times)
        height = 1 - (y + 0.5) / self.size[0]
        lowest = min(_LOWEST, _LOWEST_SHARE * self.sample_rate)
        pitch = lowest * 2 ** (_OCTAVES * height)
        start, beat_start = rng.uniform(0, 2 * np.pi, 2)
        phase = start + 2 * np.pi * np.cumsum(pitch) / self.sample_rate
        beat = beat_start + np.pi * self.frames_per_second * times  # two frames long
        size = path.radius / min(self.size)
        loudness = np.interp(size, _RADIUS, _LOUDNESS)
        return (loudness * _SOUNDS[sound](phase, beat)).astype(np.float32)[:, None]


@dataclasses.dataclass(frozen=True)
class _Path:
    """The way of a shape that rebounds from the edges of the frame.

    Attributes:
      radius: of a circle of the shape's area, in pixels.
      nearest: to the upper and the left edge, in pixels.
      room: how far it can go from there, in pixels.
      start: y and x at time 0, as shares of the room.
      speed: shares of the room a second.
    """

    radius: float
    nearest: float
    room: np.ndarray
    start: np.ndarray
    speed: np.ndarray

    def position(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns y and x in pixels, the first pixel's centre being 0, at seconds."""
        gone = self.start[:, None] + self.speed[:, None] * times
        share = np.abs((gone + 1) % 2 - 1)  # there and back again
        y, x = (self.nearest + self.room[:, None] * share).astype(times.dtype)
        return y, x


def _random_path(rng: np.random.Generator, size: tuple[int, int]) -> _Path:
    shorter = min(size)
    radius = rng.uniform(*_RADIUS) * shorter
    room = np.array(size) - 2 * radius
    speed = rng.choice([-1, 1], 2) * rng.uniform(*_SPEED, 2) * shorter / room
    return _Path(radius, radius - 0.5, room, rng.uniform(0, 2, 2), speed)


def _distance(
    sides: int, radius: float, dy: np.ndarray, dx: np.ndarray, angle: np.ndarray
) -> np.ndarray:
    """Returns how far pixels are outside a shape, [T, H, W] in pixels.

    Args:
      sides: of a regular polygon, or 0 for a circle.
      radius: of the circle; the polygon has its area.
      dy: rows from the middle of the shape, [T, H, 1].
      dx: columns from there, [T, 1, W].
      angle: of the polygon, [T] in radians.
    """
    if not sides:
        return np.sqrt(dy**2 + dx**2) - np.float32(radius)
    inner = radius * np.sqrt(np.pi / (sides * np.tan(np.pi / sides)))
    normals = [
        (angle + 2 * np.pi * side / sides).astype(np.float32)[:, None, None]
        for side in range(sides)
    ]
    farthest = np.max([dy * np.sin(n) + dx * np.cos(n) for n in normals], axis=0)
    return farthest - np.float32(inner)


def _random_ground(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Returns two dark colours that run into each other, [H, W, 3] from 0 to 1."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in size)
    share = 0.5 + (rows[:, None] * np.sin(angle) + columns * np.cos(angle)) / np.sqrt(2)
    first, second = (_random_color(rng, darkest=0.0, brightest=0.4) for _ in range(2))
    return (first + share[..., None] * (second - first)).astype(np.float32)


def _random_color(
    rng: np.random.Generator, darkest: float, brightest: float
) -> np.ndarray:
    """Returns red, green and blue, the largest of them between the two, [3]."""
    color = rng.uniform(0, 1, 3)
    return (color / color.max() * rng.uniform(darkest, brightest)).astype(np.float32)
