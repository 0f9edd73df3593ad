"""Video files, read frame by frame, and written, perhaps with sound (PyAV)."""

import math
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import signal

from perceiver_jax import extras
from perceiver_jax.data.audio import files as sound_files
from perceiver_jax.data.sources import CorruptExample

av = extras.Library("av", extra="video")

_SAMPLE_RATE = 48_000
_SOUND_BITS = 192_000  # a second; FFmpeg's AAC clicks now and then at its default

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")


def read_frames(path: pathlib.Path) -> Iterator[np.ndarray]:
    """Yields the frames of a video, [H, W, 3] uint8.

    Raises:
      CorruptExample: it can't be decoded, perhaps after some frames, or holds none.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise CorruptExample(f"{path} holds no video.")
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except av.FFmpegError as error:
        raise CorruptExample(f"{path} can't be decoded as a video: {error}") from error


def frame_rate(path: pathlib.Path) -> Fraction:
    """Returns frames a second of a file that read_frames reads; 25 where unknown."""
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate or Fraction(25)


def write(
    path: pathlib.Path,
    frames: Iterable[np.ndarray],
    rate: Fraction,
    sound: np.ndarray | None = None,
    sample_rate: int = 48_000,
) -> None:
    """Writes frames [H, W, 3] uint8 as an H.264 video, perhaps with sound (AAC).

    Odd sizes lose their last row or column, as the format has even ones only.

    Args:
      path: the file; its suffix says the container, such as .mp4.
      frames: of one size.
      rate: frames a second.
      sound: [samples, 1] float in [-1, 1], which begins with the first frame; louder
        is clipped.
      sample_rate: samples a second; where AAC has no such rate, 48,000 are written.

    Raises:
      ValueError: the sound is of another shape, or not finite.
    """
    if sound is not None and sample_rate not in av.Codec("aac", "w").audio_rates:
        steps = math.gcd(sample_rate, _SAMPLE_RATE)
        up, down = _SAMPLE_RATE // steps, sample_rate // steps
        sound, sample_rate = signal.resample_poly(sound, up, down), _SAMPLE_RATE
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        if sound is not None:
            samples = sound_files.to_mono(sound).astype(np.float32)
            audio = container.add_stream("aac", rate=sample_rate, layout="mono")
            audio.bit_rate = _SOUND_BITS
        written = 0
        for number, pixels in enumerate(frames):
            height, width = (n // 2 * 2 for n in pixels.shape[:2])
            if not number:
                stream.height, stream.width = height, width
            cut = np.ascontiguousarray(pixels[:height, :width])
            frame = av.VideoFrame.from_ndarray(cut, format="rgb24")
            container.mux(stream.encode(frame))
            if sound is not None:
                # Both in turn, so that a player finds them side by side in the file.
                end = round((number + 1) * sample_rate / rate)
                _write_sound(container, audio, samples[written:end], written)
                written = end
        container.mux(stream.encode())
        if sound is not None:
            _write_sound(container, audio, samples[written:], written)
            container.mux(audio.encode())


def _write_sound(container: Any, stream: Any, samples: np.ndarray, place: int) -> None:
    if not samples.size:
        return
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = stream.rate
    # Said, so that the encoder's own delay is marked in the file and players skip it.
    frame.pts, frame.time_base = place, Fraction(1, stream.rate)
    container.mux(stream.encode(frame))
