"""Videos, read and written."""

from fractions import Fraction

import av
import numpy as np
import pytest
import small_media

from perceiver_jax.data.audio import files as sound_files
from perceiver_jax.data.sources import CorruptExample
from perceiver_jax.data.video import files as video


def test_video_comes_back_with_its_size_and_rate(tmp_path):
    path = tmp_path / "x.mp4"
    frames = [np.full((17, 24, 3), value, np.uint8) for value in (0, 100, 250)]
    video.write(path, frames, Fraction(12))
    found = list(video.read_frames(path))
    assert [frame.shape for frame in found] == 3 * [(16, 24, 3)]
    means = [frame.mean() for frame in found]
    np.testing.assert_allclose(means, [0, 100, 250], atol=6)
    assert video.frame_rate(path) == 12


def test_files_that_are_no_videos_are_named(tmp_path):
    whole = tmp_path / "whole.mp4"
    video.write(whole, [np.zeros((16, 16, 3), np.uint8)] * 20, Fraction(10))
    path = tmp_path / "x.mp4"
    for data in (b"no video at all", b"", whole.read_bytes()[:900]):
        path.write_bytes(data)
        with pytest.raises(CorruptExample, match="x.mp4 can't be decoded as a video"):
            list(video.read_frames(path))


def test_a_file_of_sound_alone_holds_no_video(tmp_path):
    path = tmp_path / "sound.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = np.zeros((1, 800), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(CorruptExample, match="sound.mov holds no video"):
        list(video.read_frames(path))


def test_video_is_written_with_sound_that_keeps_step(tmp_path):
    path = tmp_path / "x.mp4"
    frames = [np.full((16, 16, 3), value, np.uint8) for value in range(0, 250, 10)]
    sound = small_media.tone(1.0, 48_000).T
    video.write(path, frames, Fraction(25), sound)
    assert len(list(video.read_frames(path))) == 25
    found = sound_files.read(path, 48_000)[:48_000]
    # But for its start, where the encoder is not yet used to it.
    np.testing.assert_allclose(found[2_000:], sound[2_000:], atol=0.02)

    # Shorter or longer sound than frames, at other rates.
    for seconds in (0.5, 2.0):
        sound = small_media.tone(seconds, 16_000).T
        video.write(path, frames, Fraction(30000, 1001), sound, 16_000)
        found = sound_files.read(path, 16_000)
        assert len(found) == pytest.approx(len(sound), abs=1_024)
    with pytest.raises(ValueError, match="sound must be finite"):
        video.write(path, frames, Fraction(25), np.full((9, 1), np.inf))
