"""Files of sound, read and written."""

import os
import pathlib
import wave

import numpy as np

from perceiver_jax.data.audio import decoding
from perceiver_jax.data.sources import CorruptExample
from perceiver_jax.data.video.container import open_file

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus")


def read(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Returns the whole sound of a file, of sound alone or of a video.

    Args:
      path: in any format that FFmpeg reads.
      sample_rate: samples a second, to which it is resampled.

    Returns:
      [samples, 1] float32 in [-1, 1], the mean of all channels.

    Raises:
      FileNotFoundError: it is not there.
      CorruptExample: it is damaged, or holds no sound.
    """
    with open_file(path, ("audio",)) as file:
        frames = list(file.decode(file.audio, 0.0))
        last = max((time + file.frame_duration(f) for time, f in frames), default=0)
        num_samples = round(last * sample_rate)
        sound, known = decoding.to_samples(frames, 0.0, num_samples, sample_rate)
        if not known:
            raise CorruptExample(f"{path} holds no sound that can be decoded.")
    return sound


def write_wav(path: pathlib.Path, sound: np.ndarray, sample_rate: int) -> None:
    """Writes sound [samples, 1], float in [-1, 1], as 16-bit WAV; louder is clipped.

    Raises:
      ValueError: the sound is of another shape, or not finite.
    """
    samples = np.round(to_mono(sound) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.tobytes())


def to_mono(sound: np.ndarray) -> np.ndarray:
    """Returns sound [samples, 1] as [samples] in [-1, 1], as files have it.

    Raises:
      ValueError: it is of another shape, or not finite.
    """
    if sound.ndim != 2 or sound.shape[1] != 1 or not np.isfinite(sound).all():
        raise ValueError(
            f"sound must be finite, of shape [samples, 1], got {list(sound.shape)}"
        )
    return np.clip(sound[:, 0], -1, 1)
