"""Clips of video files: frames and sound of the same stretch of time."""

import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from perceiver_jax.data.audio import decoding
from perceiver_jax.data.sources import CorruptExample, Example
from perceiver_jax.data.video.container import STREAMS, MediaFile, open_file

FRAME_RATE = 25  # of the papers' clips, a second
SAMPLE_RATE = 48_000

_TIE = 1e-6  # seconds; of two frames that are equally near, the earlier one counts


@dataclasses.dataclass(frozen=True)
class Info:
    """What a file says about itself.

    Attributes:
      duration: seconds of the video, or of the sound where there is none.
      frame_rate: frames a second, on average; None without video.
      sample_rate: samples a second; None without sound.
    """

    duration: float
    frame_rate: Fraction | None
    sample_rate: int | None

    @property
    def has_video(self) -> bool:
        """Whether it holds video."""
        return self.frame_rate is not None

    @property
    def has_audio(self) -> bool:
        """Whether it holds sound."""
        return self.sample_rate is not None


def probe(
    path: str | os.PathLike[str], streams: Collection[str] = tuple(STREAMS)
) -> Info:
    """Returns what a file says about itself; nothing is decoded.

    Args:
      path: the file.
      streams: "video", "audio" or both; what else there is, is passed over.

    Raises:
      FileNotFoundError: it is not there.
      CorruptExample: it is damaged, or holds none of the streams.
    """
    with open_file(path, streams) as file:
        return Info(
            file.duration(),
            file.frame_rate if file.video else None,
            file.audio.rate if file.audio else None,
        )


def read_clip(
    path: str | os.PathLike[str],
    start: float,
    num_frames: int,
    size: tuple[int, int] | int | None = None,
    frame_rate: int = FRAME_RATE,
    sample_rate: int = SAMPLE_RATE,
    pad: bool = False,
    streams: Collection[str] = tuple(STREAMS),
) -> Example:
    """Reads a clip; of the file, only what the clip needs is decoded.

    Every frame is the one of the file that is nearest in time, so any frame rate will
    do, and one that varies. Sound is resampled, its channels averaged, and begins with
    the first frame; where the file has video but no more sound, it is silent.

    Args:
      path: the file. One without sound gives no "audio", one without video no "video".
      start: when the clip begins, in seconds from the file's first frame on.
      num_frames: T; the length of a clip without video is counted in frames too.
      size: height and width of what is cut from the middle of frames and resized; or
        the new length of their shorter side; or None, which leaves frames as they are.
      frame_rate: frames a second.
      sample_rate: samples a second.
      pad: fill up a clip that is too short with black frames and silence.
      streams: see `probe`.

    Returns:
      "video": [T, H, W, 3] uint8, or None.
      "audio": [T * sample_rate / frame_rate, 1] float32 in [-1, 1], or None.
      "num_frames", "num_samples": how many of them are from the file, from the first
      on; 0 where there are none.

    Raises:
      FileNotFoundError: the file is not there.
      CorruptExample: the file is damaged, ends too early, or has none of the streams.
      ValueError: frames have no whole number of samples.
    """
    wanted = _Wanted(start, num_frames, size, frame_rate, sample_rate)
    with open_file(path, streams) as file:
        clip = _read(file, wanted)
        found = clip["num_frames"]
        if not file.video:
            found = round(clip["num_samples"] / wanted.samples_per_frame)
        if found < num_frames and not (pad and found):
            raise CorruptExample(
                f"{path} is {file.duration():.2f} s long and has {found} of the"
                f" {num_frames} frames, {frame_rate} a second, that are wanted from"
                f" {start:.2f} s on; take fewer, or begin earlier, or fill up by `pad`"
            )
    return clip


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What a clip has, as the arguments of `read_clip`."""

    start: float
    num_frames: int
    size: tuple[int, int] | int | None
    frame_rate: int
    sample_rate: int

    def __post_init__(self):
        if self.sample_rate % self.frame_rate or self.num_frames < 1 or self.start < 0:
            raise ValueError(
                f"num_frames={self.num_frames} must be 1 or more, start={self.start}"
                f" not negative, sample_rate={self.sample_rate} a multiple of"
                f" frame_rate={self.frame_rate}"
            )

    @property
    def samples_per_frame(self) -> int:
        return self.sample_rate // self.frame_rate

    def times(self) -> list[float]:
        return [self.start + n / self.frame_rate for n in range(self.num_frames)]


def _read(file: MediaFile, wanted: _Wanted) -> Example:
    """Returns a clip of what is there, filled up after it."""
    clip: Example = {"video": None, "audio": None, "num_frames": 0, "num_samples": 0}
    if file.video:
        frames = _read_frames(file, wanted)
        clip["video"] = _fill(frames, wanted.num_frames)
        clip["num_frames"] = len(frames)
    if file.audio:
        clip["audio"], clip["num_samples"] = decoding.to_samples(
            file.decode(file.audio, wanted.start - decoding.MARGIN),
            wanted.start,
            wanted.num_frames * wanted.samples_per_frame,
            wanted.sample_rate,
        )
    return clip


def _read_frames(file: MediaFile, wanted: _Wanted) -> list[np.ndarray]:
    """Returns the frames that are there, each [H, W, 3]."""
    frames: list[np.ndarray] = []
    before = None
    for frame in _nearest(file, wanted.times()):
        # Where the file has fewer frames a second, one comes several times.
        frames.append(frames[-1] if frame is before else _to_pixels(frame, wanted.size))
        before = frame
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise CorruptExample(f"{file.path} has frames of several sizes: {shapes}")
    return frames


def _nearest(file: MediaFile, times: Sequence[float]) -> Iterator[Any]:
    """Yields the frame nearest to each time, up to the end of the file."""
    place = 0
    time, before = 0.0, None
    for next_time, frame in file.decode(file.video, times[0]):
        while before is not None:
            if next_time - times[place] <= times[place] - time - _TIE:
                break  # the next frame is nearer
            yield before
            place += 1
            if place == len(times):
                return
        time, before = next_time, frame
    if before is not None:
        end = time + file.frame_duration(before)
        yield from (before for wanted in times[place:] if wanted < end - _TIE)


def _to_pixels(frame: Any, size: tuple[int, int] | int | None) -> np.ndarray:
    """Returns a frame [H, W, 3] as players show it: phones film sideways."""
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    shape = (frame.height, frame.width)
    least = (size or 1, size or 1) if not isinstance(size, tuple) else size
    if turns % 2:
        least = least[::-1]
    scale = 1.0 if size is None else max(n / m for n, m in zip(least, shape))
    height, width = (max(n, round(scale * m)) for n, m in zip(least, shape))
    # FFmpeg resizes and converts colours in one go.
    resized = frame.reformat(width, height, "rgb24", interpolation="BICUBIC")
    pixels = np.rot90(resized.to_ndarray(), turns)
    if not isinstance(size, tuple):
        return pixels
    top, left = ((n - m) // 2 for n, m in zip(pixels.shape, size))
    return pixels[top : top + size[0], left : left + size[1]]


def _fill(frames: list[np.ndarray], num_frames: int) -> np.ndarray | None:
    """Returns frames [T, H, W, 3], black after the last one; None without any."""
    if not frames:
        return None
    missing = num_frames - len(frames)
    return np.stack([*frames, *missing * [np.zeros_like(frames[0])]])
