"""Motion: where a point of the first frame is at a later time.

The first frame is at time 0, the second at time 1. Points are arrays [2, ...], x then
y, in pixels.
"""

import dataclasses

import numpy as np

_STEEPEST = 0.2  # slope of a deformation; below 1 it can be inverted
_INVERSION_STEPS = 6  # each leaves at most _STEEPEST of the error


@dataclasses.dataclass(frozen=True)
class Homography:
    """A homography about a point, which grows from the identity at time 0.

    Attributes:
      center: [2], what it turns about.
      shift: [2] pixels.
      linear: [2, 2], turn, scale and shear, as what is added to the identity.
      perspective: [2], how fast the scale falls with each pixel from the centre.
    """

    center: np.ndarray
    shift: np.ndarray
    linear: np.ndarray
    perspective: np.ndarray

    def matrix(self, t: float) -> np.ndarray:
        """Returns [3, 3] at time t."""
        about, back, to = np.eye(3), np.eye(3), np.eye(3)
        to[:2, 2] = -self.center
        back[:2, 2] = self.center
        about[:2, :2] += t * self.linear
        about[:2, 2] = t * self.shift
        about[2, :2] = t * self.perspective
        return back @ about @ to


@dataclasses.dataclass(frozen=True)
class Motion:
    """A smooth deformation, then homographies, in their order.

    Attributes:
      homographies: such as an object's, then the camera's.
      waves: sines whose sum is the deformation, each (amplitude [2] in pixels, radians
        a pixel [2], phase).
    """

    homographies: tuple[Homography, ...]
    waves: tuple[tuple[np.ndarray, np.ndarray, float], ...] = ()

    def matrix(self, t: float) -> np.ndarray:
        """Returns all homographies as one, [3, 3]."""
        matrix = np.eye(3)
        for homography in self.homographies:
            matrix = homography.matrix(t) @ matrix
        return matrix

    def forward(self, points: np.ndarray, t: float) -> np.ndarray:
        """Returns where points [2, ...] of the first frame are at time t."""
        return project(self.matrix(t), points + self._deformation(points, t))

    def backward(self, points: np.ndarray, t: float) -> np.ndarray:
        """Returns where points [2, ...] at time t were in the first frame."""
        undone = project(np.linalg.inv(self.matrix(t)), points)
        found = undone
        if t and self.waves:
            for _ in range(_INVERSION_STEPS):
                found = undone - self._deformation(found, t)
        return found

    def _deformation(self, points, t):
        x, y = points
        total = np.zeros_like(points)
        for amplitude, rate, phase in self.waves if t else ():
            wave = np.sin(rate[0] * x + rate[1] * y + phase)
            total[0] += t * amplitude[0] * wave
            total[1] += t * amplitude[1] * wave
        return total


def project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Applies a homography [3, 3] to points [2, ...], in their type."""
    matrix = matrix.astype(points.dtype)
    x, y = points
    scaled = [row[0] * x + row[1] * y + row[2] for row in matrix]
    return np.stack([scaled[0] / scaled[2], scaled[1] / scaled[2]])


def random_homography(
    rng: np.random.Generator, size: tuple[int, int], motion: float
) -> Homography:
    """Draws a homography that moves most frames by less than `motion` pixels."""
    # Scaled so that each of its parts moves a frame's corners about equally far.
    height, width = size
    radius = np.hypot(height, width) / 2
    strength = motion * rng.uniform() ** 1.5
    direction = rng.uniform(0, 2 * np.pi)
    share, turn, scale, shear, stretch = rng.uniform(-1, 1, 5)
    turning = np.array(
        [[scale + stretch, shear - turn], [shear + turn, scale - stretch]]
    )
    return Homography(
        center=np.array([width, height]) * rng.uniform(0.25, 0.75, 2),
        shift=strength
        * np.abs(share)
        * np.array([np.cos(direction), np.sin(direction)]),
        linear=0.3 * strength / radius * turning,
        perspective=0.3 * strength / radius**2 * rng.uniform(-1, 1, 2),
    )


def random_waves(
    rng: np.random.Generator, size: tuple[int, int], motion: float
) -> tuple[tuple[np.ndarray, np.ndarray, float], ...]:
    """Draws `Motion.waves` that move points by up to half of `motion` pixels each."""
    count = rng.integers(1, 4)
    waves = []
    for _ in range(count):
        direction, heading, phase = rng.uniform(0, 2 * np.pi, 3)
        length = min(size) * rng.uniform(0.4, 1.5)  # pixels
        height = min(
            0.5 * motion * rng.uniform(), _STEEPEST * length / (2 * np.pi * count)
        )
        amplitude = height * np.array([np.cos(heading), np.sin(heading)])
        rate = 2 * np.pi / length * np.array([np.cos(direction), np.sin(direction)])
        waves.append((amplitude, rate, phase))
    return tuple(waves)
