"""Video files, read and written frame by frame (PyAV)."""

import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from perceiver_jax import extras
from perceiver_jax.data.sources import CorruptExample

av = extras.Library("av", extra="video")

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


def write(path: pathlib.Path, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    """Writes frames [H, W, 3] uint8 as an H.264 video.

    Odd sizes lose their last row or column, as the format has even ones only.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            height, width = (n // 2 * 2 for n in pixels.shape[:2])
            if not number:
                stream.height, stream.width = height, width
            cut = np.ascontiguousarray(pixels[:height, :width])
            frame = av.VideoFrame.from_ndarray(cut, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
