"""Files of video and sound, opened and decoded from any second on (PyAV)."""

import contextlib
import dataclasses
import errno
import math
import os
import pathlib
from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import Any

from perceiver_jax import extras
from perceiver_jax.data.sources import CorruptExample

av = extras.Library("av", extra="video")

STREAMS = {"video": "video", "audio": "sound"}  # kinds, and how people call them

_FRAME_RATE = Fraction(25)  # where a file does not say


@dataclasses.dataclass(frozen=True)
class MediaFile:
    """An open file. Its time 0 is that of its first frame, or else of its first sample.

    Attributes:
      path: of the file.
      container: of PyAV.
      video: its first stream of video, or None. A cover picture is none.
      audio: its first stream of sound, or None.
      origin: what the file itself calls time 0, in seconds.
    """

    path: pathlib.Path
    container: Any
    video: Any
    audio: Any
    origin: float

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second, on average."""
        return self.video.average_rate or _FRAME_RATE

    def duration(self) -> float:
        """Returns the seconds of the video, or of the sound where there is none.

        Some formats, such as Matroska, do not say it of each stream; the whole file is
        then read, not decoded.
        """
        stream = self.video or self.audio
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        end = 0.0
        with _open(self.path) as whole:
            for packet in whole.demux(whole.streams[stream.index]):
                if packet.pts is not None:
                    last = packet.pts + (packet.duration or 0)
                    end = max(end, float(last * stream.time_base) - self.origin)
        return end

    def decode(self, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
        """Yields frames of a stream, and when each begins, in seconds.

        Args:
          stream: `video` or `audio`.
          start: the first frame is before it, or is the first one of the file.
        """
        if stream is self.video and "avi" in self.container.format.name.split(","):
            # AVI has no times of display, only their order.
            for number, frame in enumerate(self._decode_all(stream)):
                yield float(number / self.frame_rate), frame
            return
        if start <= 0:
            yield from self._timed(self._decode_all(stream))
            return
        place = math.floor((start + self.origin) / stream.time_base)
        self.container.seek(place, stream=stream)
        frames = self._timed(self.container.decode(stream))
        first = next(frames, None)
        if first is None or first[0] > start:  # the file's index sent us too far
            yield from self._timed(self._decode_all(stream))
            return
        yield first
        yield from frames

    def _decode_all(self, stream: Any) -> Iterator[Any]:
        # Opened anew: a seek to 0 would pass over the coded sound before it, which the
        # first samples need.
        with _open(self.path) as whole:
            yield from whole.decode(whole.streams[stream.index])

    def _timed(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        expected = 0.0
        for frame in frames:
            time = expected if frame.time is None else frame.time - self.origin
            yield time, frame
            expected = time + self.frame_duration(frame)

    def frame_duration(self, frame: Any) -> float:
        """Returns how long a frame of video or of sound lasts, in seconds."""
        if hasattr(frame, "samples"):
            return frame.samples / frame.sample_rate
        if frame.duration:
            return float(frame.duration * frame.time_base)
        return float(1 / self.frame_rate)


@contextlib.contextmanager
def open_file(
    path: str | os.PathLike[str], streams: Collection[str] = tuple(STREAMS)
) -> Iterator[MediaFile]:
    """Opens a file of video, of sound, or of both.

    Args:
      path: the file.
      streams: which of STREAMS are wanted; the file then seems to have no others.

    Raises:
      OSError: it is not there, or can't be read, now or later.
      CorruptExample: it can't be decoded, now or later, or holds none of them.
    """
    path = pathlib.Path(path)
    try:
        with _open(path) as container:
            video = next(filter(_is_video, container.streams.video), None)
            audio = next(filter(_is_decoded, container.streams.audio), None)
            first: Any = video or audio
            video = video if "video" in streams else None
            audio = audio if "audio" in streams else None
            if video is None and audio is None:
                words = " and no ".join(STREAMS[stream] for stream in streams)
                raise CorruptExample(f"{path} holds no {words}.")
            origin = float((first.start_time or 0) * first.time_base)
            yield MediaFile(path, container, video, audio, origin)
    except (av.FFmpegError, OSError) as error:
        # Damage may also send FFmpeg to a place before the start of the file.
        if not isinstance(error, av.FFmpegError) and error.errno != errno.EINVAL:
            raise
        raise CorruptExample(
            f"{path} can't be decoded as video or sound: {error.strerror}"
        ) from error


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[Any]:
    # Read by Python, whose errors tell a file server that is away from a damaged file.
    with path.open("rb", buffering=0) as file:
        # Titles and the like, which nobody reads here, may be in any encoding.
        with av.open(file, metadata_errors="replace") as container:
            yield container


def _is_video(stream: Any) -> bool:
    cover = stream.disposition & av.stream.Disposition.attached_pic
    return not cover and _is_decoded(stream)


def _is_decoded(stream: Any) -> bool:
    return stream.codec_context is not None  # else of a format that FFmpeg lacks
