"""Files of sound, read and written."""

import wave

import numpy as np
import pytest
import small_media

from perceiver_jax.data.audio import files
from perceiver_jax.data.sources import CorruptExample


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("x.wav", "pcm_s16le", 44_100),
        ("x.flac", "flac", 44_100),
        ("x.mp3", "libmp3lame", 44_100),
        ("x.m4a", "aac", 44_100),
        ("x.ogg", "libopus", 48_000),
    ],
)
def test_sound_of_any_format_is_read(tmp_path, name, codec, rate):
    for channels in (1, 2):
        sound = small_media.tone(1.0, rate, channels)
        path = small_media.write(
            tmp_path / name, sound=sound, rate=rate, sound_codec=codec
        )
        found = files.read(path, 16_000)
        # Coded sound may end with silence.
        assert 16_000 <= len(found) < 17_000 and found.shape[1] == 1
        expected = small_media.tone(1.0, 16_000)[0]
        difference = np.abs(found[:16_000, 0] - expected)[800:-800]
        assert difference.max() < 0.05 and difference.mean() < 0.01
        assert path.suffix in files.SUFFIXES


def test_wav_comes_back(tmp_path):
    path = tmp_path / "x.wav"
    sound = np.random.default_rng(0).uniform(-1, 1, (4_000, 1)).astype(np.float32)
    sound[0], sound[1] = 3, -2  # too loud
    files.write_wav(path, sound, 8_000)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 8_000, 4_000)
    np.testing.assert_allclose(
        files.read(path, 8_000), np.clip(sound, -1, 1), atol=5e-5
    )


def test_only_finite_sound_of_one_channel_is_written(tmp_path):
    for sound in (np.zeros(4), np.zeros((4, 2)), np.full((4, 1), np.nan)):
        with pytest.raises(ValueError, match=r"of shape \[samples, 1\]"):
            files.write_wav(tmp_path / "x.wav", sound, 8_000)


def test_files_without_sound_are_named(tmp_path):
    path = small_media.write(tmp_path / "x.mp4", [0, 0.04])
    with pytest.raises(CorruptExample, match=r"x\.mp4 holds no sound"):
        files.read(path, 8_000)
    path.write_bytes(b"nothing that sounds")
    with pytest.raises(CorruptExample, match=r"x\.mp4 can't be decoded"):
        files.read(path, 8_000)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "gone.wav", 8_000)
