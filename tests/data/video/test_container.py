"""Open files: streams, their times, and decoding from any second on."""

import errno
import io
import pathlib

import av
import numpy as np
import pytest
import small_media

from perceiver_jax.data.sources import CorruptExample
from perceiver_jax.data.video import container

TIMES = [n / 25 for n in range(40)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mp4", "libx264"),
        ("x.mkv", "libx264"),
        ("x.webm", "libvpx-vp9"),
        ("x.gif", "gif"),
        ("x.avi", "libx264"),  # has no times of display
        ("x.ts", "libx264"),  # begins at 1.4 seconds of its own
    ],
)
def test_frames_are_counted_from_the_first_one(tmp_path, name, codec):
    path = small_media.write(tmp_path / name, TIMES, codec=codec, ticks=25)
    with container.open_file(path) as file:
        assert file.audio is None
        assert file.duration() == pytest.approx(1.6, abs=0.05)
        for start in (0.0, 0.9, 0.3):
            found = list(file.decode(file.video, start))
            times = [time for time, _ in found]
            pixels = np.stack([f.to_ndarray(format="rgb24") for _, f in found])
            assert times[0] <= start
            assert times[-1] == pytest.approx(39 / 25, abs=1e-3)
            assert small_media.numbers(pixels) == [round(25 * time) for time in times]


def test_a_file_that_cannot_be_sought_in_is_decoded_from_its_start(tmp_path):
    sound = small_media.tone(1.6, 48_000)
    for name, codec in (("x.mp3", "libmp3lame"), ("x.aac", "aac")):
        path = small_media.write(
            tmp_path / name, sound=sound, rate=48_000, sound_codec=codec
        )
        with container.open_file(path) as file:
            assert file.video is None
            times = [time for time, _ in file.decode(file.audio, 0.8)]
            assert times[0] <= 0.8 and times[-1] > 1.5


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "x.m4a"
    with av.open(str(path), "w", format="mp4") as written:
        picture = written.add_stream("mjpeg", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        sound = written.add_stream("aac", rate=48_000, layout="mono")
        pixels = np.zeros((48, 64, 3), np.uint8)
        cover = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        written.mux([*picture.encode(cover), *picture.encode()])
        tone = small_media.tone(0.5, 48_000)
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 48_000
        written.mux([*sound.encode(frame), *sound.encode()])
    with container.open_file(path) as file:
        assert len(file.container.streams.video) == 1
        assert file.video is None and file.audio is not None


def test_a_file_of_neither_is_named(tmp_path):
    path = tmp_path / "x.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with pytest.raises(CorruptExample, match=r"x\.srt holds no video and no sound"):
        with container.open_file(path):
            pass


def test_a_title_may_be_in_any_encoding(tmp_path):
    path = small_media.write(tmp_path / "x.mp4", TIMES)
    data = path.read_bytes()
    assert data.count(b"VideoHandler") == 1
    path.write_bytes(data.replace(b"VideoHandler", b"Vid\xe9oHandler"))
    with container.open_file(path) as file:
        assert len(list(file.decode(file.video, 0.0))) == 40


def test_a_file_server_that_is_away_damages_nothing(tmp_path, monkeypatch):
    """Reading raises its own error, which training waits for."""
    path = small_media.write(tmp_path / "x.mp4", TIMES)

    class Away(io.FileIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError(errno.EIO, "the server is away")
            return super().read(100)

    monkeypatch.setattr(pathlib.Path, "open", lambda path, *_, **__: Away(path))
    with pytest.raises(OSError, match="the server is away"):
        with container.open_file(path) as file:
            list(file.decode(file.video, 0.0))
