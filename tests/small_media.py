"""Small files of video and sound in true formats, whose content tells the time."""

import pathlib
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

GREY = 5  # by which a frame is brighter than the one before


def numbers(frames: np.ndarray) -> list[int]:
    """The numbers of frames [T, H, W, 3] that `write` wrote."""
    return [round(frame.mean() / GREY) for frame in frames]


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """A tone whose pitch rises from 200 Hz, 100 Hz a second: [channels, samples]."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * (200 * time + 50 * time**2))
    return np.tile(wave, (channels, 1)).astype(np.float32)


def write(
    path: pathlib.Path,
    times: Sequence[float] = (),
    sound: np.ndarray | None = None,
    rate: int = 44_100,
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    ticks: int = 1000,
    sound_codec: str = "aac",
    options: dict[str, str] | None = None,
) -> pathlib.Path:
    """Writes a file.

    Args:
      path: its suffix says the format.
      times: when each frame begins, in seconds; no video without any.
      sound: [channels, samples], or None.
      rate: samples a second.
      size: height and width of frames.
      codec: of video; a key frame comes every eight frames.
      ticks: a second, which its times are counted in.
      sound_codec: of sound.
      options: of the format.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        if times:
            video = container.add_stream(codec, rate=25, options={"g": "8"})
            video.height, video.width = size
            video.pix_fmt = "rgb8" if codec == "gif" else "yuv444p"
            video.codec_context.time_base = Fraction(1, ticks)
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = container.add_stream(sound_codec, rate=rate, layout=layout)
            audio.bit_rate = 256_000  # FFmpeg's AAC clicks now and then at its default
        for number, time in enumerate(times):
            pixels = np.full((*size, 3), number * GREY, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(ticks * time), Fraction(1, ticks)
            container.mux(video.encode(frame))
        if times:
            container.mux(video.encode())
        if sound is not None:
            samples = np.ascontiguousarray(sound)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            frame.time_base = Fraction(1, rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path
