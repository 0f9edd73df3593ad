"""Videos, read and written."""

from fractions import Fraction

import numpy as np
import pytest

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


def test_file_that_is_no_video(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(ValueError, match="x.mp4 can't be decoded"):
        list(video.read_frames(path))
