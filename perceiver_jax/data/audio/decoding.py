"""Decoded frames of sound to samples of one channel, at one rate (PyAV)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from perceiver_jax import extras

av = extras.Library("av", extra="video")

# Seconds that are decoded on either side of what is asked for: coded sound needs some
# before it, and a resampler some on both sides.
MARGIN = 0.1
# Seconds between where a frame should begin and begins, from which on it is a gap. Some
# formats round their times to milliseconds.
_GAP = 0.02


def to_samples(
    frames: Iterable[tuple[float, Any]], start: float, num_samples: int, rate: int
) -> tuple[np.ndarray, int]:
    """Returns a part of a file's sound, where its times say that it is.

    Channels are averaged. What the file has no sound for is silent.

    Args:
      frames: when each begins, in seconds, and what it holds, in order; from MARGIN
        before the start on.
      start: of the part, in seconds.
      num_samples: of the part.
      rate: samples a second.

    Returns:
      [num_samples, 1] float32 in [-1, 1], and how many of them are up to the end of the
      file's sound.
    """
    sound = np.zeros(num_samples, np.float32)
    known = 0
    end = start + num_samples / rate
    for time, run in _runs(_within(frames, start - MARGIN, end + MARGIN)):
        samples = _resample(run, rate)
        place = round((time - start) * rate)
        first, last = (
            min(max(n, 0), num_samples) for n in (place, place + samples.size)
        )
        sound[first:last] = samples[first - place : last - place]
        known = max(known, int(last))
    return np.clip(sound, -1, 1)[:, None], known


def _within(
    frames: Iterable[tuple[float, Any]], start: float, end: float
) -> Iterator[tuple[float, Any]]:
    for time, frame in frames:
        if time >= end:
            return
        if time + frame.samples / frame.sample_rate > start:
            yield time, frame


def _runs(frames: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, list[Any]]]:
    """Yields frames that follow each other without a gap, and when the first begins."""
    run: list[Any] = []
    start = expected = 0.0
    for time, frame in frames:
        if run and (abs(time - expected) > _GAP or _form(frame) != _form(run[0])):
            yield start, run
            run = []
        if not run:
            start = expected = time
        run.append(frame)
        expected += frame.samples / frame.sample_rate
    if run:
        yield start, run


def _form(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resample(frames: Sequence[Any], rate: int) -> np.ndarray:
    """Returns the mean of all channels, [samples]."""
    # The mean is taken here, because FFmpeg's own is louder than its channels.
    resampler = av.AudioResampler(format="fltp", rate=rate)
    parts = [
        part.to_ndarray().mean(0)
        for frame in (*frames, None)  # None fetches what the resampler holds back
        for part in resampler.resample(frame)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
