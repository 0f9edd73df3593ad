"""Log-mel spectrograms: how loud every band of pitch is, over time."""

import dataclasses
import functools

import numpy as np

_RANGE = 80.0  # decibels below full scale, from which on all is silence


@dataclasses.dataclass(frozen=True)
class MelSpectrogram:
    """Sound of a fixed length to a spectrogram.

    Attributes:
      sample_rate: samples a second.
      num_samples: of the sound.
      windows: how many, spaced evenly; each overlaps half of its neighbours.
      bins: bands, spaced evenly on the mel scale, up to half of the sampling rate.
    """

    sample_rate: int
    num_samples: int
    windows: int
    bins: int

    def __post_init__(self):
        """Raises ValueError: sizes that do not go together."""
        if self.num_samples % self.windows:
            raise ValueError(
                f"{self.num_samples} samples of sound can't be cut into {self.windows} "
                "windows: choose a number that divides."
            )
        empty = int((self._filters.sum(0) == 0).sum())
        if empty:
            raise ValueError(
                f"{empty} of {self.bins} mel bins are narrower than what a window of "
                f"{2 * self.hop} samples tells apart: use fewer bins or fewer windows."
            )

    @property
    def hop(self) -> int:
        """Samples from one window to the next, half of a window."""
        return self.num_samples // self.windows

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Maps sound [samples, 1] in [-1, 1] to [windows, bins] float32.

        Values are from -1, 80 decibels below full scale, to 1, full scale.
        """
        padded = np.pad(sound[:, 0], (self.hop // 2, self.hop - self.hop // 2))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * self.hop)
        taper = np.hanning(2 * self.hop + 1)[:-1].astype(np.float32)
        spectrum = np.fft.rfft(windows[:: self.hop] * taper)
        amplitude = 2 * np.abs(spectrum) / taper.sum()  # of a tone: its own
        power = np.square(amplitude) @ self._filters
        decibels = 10 * np.log10(power + 10 ** (-_RANGE / 10))
        return (np.clip(decibels, -_RANGE, 0) * (2 / _RANGE) + 1).astype(np.float32)

    @functools.cached_property
    def _filters(self) -> np.ndarray:
        """How much of a frequency is in a band: triangles, [frequencies, bins]."""
        frequencies = np.fft.rfftfreq(2 * self.hop, 1 / self.sample_rate)
        corners = np.linspace(0, _to_mel(self.sample_rate / 2), self.bins + 2)
        place = np.interp(_to_mel(frequencies), corners, np.arange(self.bins + 2))
        return np.maximum(0, 1 - np.abs(place[:, None] - 1 - np.arange(self.bins)))


def _to_mel(hertz: np.ndarray | float) -> np.ndarray:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def spec_augment(
    spectrogram: np.ndarray,
    rng: np.random.Generator,
    masks: int,
    longest: tuple[float, float],
) -> np.ndarray:
    """Returns a spectrogram with random windows and bins covered by its mean.

    SpecAugment (Park et al. 2019), without its warp of time.

    Args:
      spectrogram: [windows, bins].
      rng: decides what is covered.
      masks: how many stretches of windows, and as many of bins.
      longest: of such a stretch, as a share of the windows and of the bins; lengths
        are drawn uniformly, from 0 on.
    """
    covered = spectrogram.copy()
    for axis, share in enumerate(longest):
        length = spectrogram.shape[axis]
        for _ in range(masks):
            width = int(rng.integers(round(share * length) + 1))
            start = int(rng.integers(length - width + 1))
            np.moveaxis(covered, axis, 0)[start : start + width] = spectrogram.mean()
    return covered
