"""Clips of files: the right frames, with the sound of the same time."""

import av
import numpy as np
import pytest
import small_media

from perceiver_jax.data.sources import CorruptExample
from perceiver_jax.data.video import clips

REGULAR = [n / 25 for n in range(40)]


def difference(found, start, seconds=1.6, rate=48_000):
    """How far sound [samples, 1] is from small_media.tone, but near its two ends.

    0.05 are two samples in time.
    """
    margin = rate // 20
    place = round(start * rate)
    expected = small_media.tone(seconds, rate)[0, place : place + len(found)]
    return np.abs(found[: len(expected), 0] - expected)[margin:-margin].max()


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("x.mp4", {"rate": 44_100}),
        ("x.mp4", {"rate": 48_000}),
        ("x.mov", {"rate": 22_050}),
        ("x.mkv", {"sound_codec": "flac"}),
        ("x.webm", {"codec": "libvpx-vp9", "sound_codec": "libopus", "rate": 48_000}),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_clip_is_cut_at_the_right_time(tmp_path, name, coding, channels):
    rate = coding.get("rate", 44_100)
    sound = small_media.tone(1.6, rate, channels)
    path = small_media.write(tmp_path / name, REGULAR, sound, **coding)
    info = clips.probe(path)
    assert info.has_video and info.has_audio and info.sample_rate == rate
    assert info.duration == pytest.approx(1.6, abs=0.01) and info.frame_rate == 25
    # Matroska's times are whole milliseconds, and it says no delay of the encoder.
    exact = name.endswith(("mp4", "mov"))
    for start, num_frames in ((0, 40), (0, 8), (0.44, 8), (0.8, 20)):
        clip = clips.read_clip(path, start, num_frames)
        first = round(25 * start)
        found = small_media.numbers(clip["video"])
        assert found == list(range(first, first + num_frames))
        assert clip["video"].shape == (num_frames, 48, 64, 3)
        assert clip["video"].dtype == np.uint8 and clip["audio"].dtype == np.float32
        assert clip["audio"].shape == (1920 * num_frames, 1)
        assert clip["num_frames"] == num_frames
        assert clip["num_samples"] == pytest.approx(1920 * num_frames, abs=400)
        if exact:
            assert difference(clip["audio"], start) < 0.05


def test_stereo_is_averaged(tmp_path):
    sound = small_media.tone(1.0, 48_000, channels=2)
    sound[1] *= -0.5
    path = small_media.write(
        tmp_path / "x.wav", sound=sound, rate=48_000, sound_codec="pcm_s16le"
    )
    clip = clips.read_clip(path, 0.2, 10)
    expected = small_media.tone(1.0, 48_000)[0, 9600 : 9600 + 19_200] / 4
    np.testing.assert_allclose(clip["audio"][:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("start", [0.0, 0.4])
def test_frames_of_any_rate_are_the_nearest_in_time(tmp_path, start):
    rng = np.random.default_rng(0)
    for times in (
        [n / 10 for n in range(14)],
        [n / 50 for n in range(50)],
        list(np.cumsum(rng.uniform(0.01, 0.12, 40)) - 0.01),  # varies
    ):
        times = [round(t - times[0], 3) for t in times]
        path = small_media.write(tmp_path / "x.mp4", times)
        wanted = start + np.arange(12) / 25
        distance = np.abs(wanted[:, None] - np.array(times))
        # Of two that are equally near, the earlier one.
        expected = (distance < distance.min(1, keepdims=True) + 1e-6).argmax(1)
        clip = clips.read_clip(path, start, 12)
        assert small_media.numbers(clip["video"]) == list(expected)
        assert clip["audio"] is None and clip["num_samples"] == 0


def test_only_what_a_clip_needs_is_decoded(tmp_path, monkeypatch):
    path = small_media.write(tmp_path / "x.mp4", [n / 25 for n in range(50)])
    decoded = []
    duration = clips.MediaFile.frame_duration

    def counted(self, frame):
        decoded.append(frame.pts)
        return duration(self, frame)

    monkeypatch.setattr(clips.MediaFile, "frame_duration", counted)
    clip = clips.read_clip(path, 1.0, 4)
    assert small_media.numbers(clip["video"]) == [25, 26, 27, 28]
    assert len(decoded) <= 6  # from the key frame 24 on


def test_sound_alone_has_no_frames(tmp_path):
    sound = small_media.tone(1.6, 44_100)
    path = small_media.write(tmp_path / "x.m4a", sound=sound)
    assert not clips.probe(path).has_video
    clip = clips.read_clip(path, 0.4, 16)
    assert clip["video"] is None and clip["num_frames"] == 0
    assert clip["num_samples"] == 16 * 1920
    assert difference(clip["audio"], 0.4) < 0.05
    assert not clips.probe(small_media.write(tmp_path / "y.mp4", REGULAR)).has_audio


def test_other_rates(tmp_path):
    sound = small_media.tone(1.6, 44_100)
    path = small_media.write(tmp_path / "x.mp4", REGULAR, sound)
    clip = clips.read_clip(path, 0.2, 10, frame_rate=10, sample_rate=16_000)
    assert clip["audio"].shape == (16_000, 1)
    assert difference(clip["audio"], 0.2, rate=16_000) < 0.05
    expected = [5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    assert small_media.numbers(clip["video"]) == expected
    with pytest.raises(
        ValueError, match="sample_rate=16000 a multiple of frame_rate=11"
    ):
        clips.read_clip(path, 0.2, 10, frame_rate=11, sample_rate=16_000)


@pytest.mark.parametrize("shape", [(48, 64), (51, 37)])
def test_frames_are_resized(tmp_path, shape):
    """To the middle, or by their shorter side; odd sizes too."""
    path = small_media.write(tmp_path / "x.mp4", REGULAR[:4], size=shape)
    assert clips.read_clip(path, 0, 2)["video"].shape == (2, *shape, 3)
    for size in ((32, 32), (16, 48), (100, 40)):
        clip = clips.read_clip(path, 0, 4, size=size)
        assert clip["video"].shape == (4, *size, 3)
        assert small_media.numbers(clip["video"]) == [0, 1, 2, 3]
    longer = {(48, 64): (24, 32), (51, 37): (33, 24)}[shape]
    assert clips.read_clip(path, 0, 2, size=24)["video"].shape == (2, *longer, 3)


def test_a_clip_that_is_too_short_is_filled_up_only_where_asked(tmp_path):
    sound = small_media.tone(1.6, 48_000)
    path = small_media.write(tmp_path / "x.mp4", REGULAR, sound, rate=48_000)
    with pytest.raises(CorruptExample, match=r"1\.60 s long and has 10 of the 16 fra"):
        clips.read_clip(path, 1.2, 16)
    clip = clips.read_clip(path, 1.2, 16, pad=True)
    assert clip["num_frames"] == 10
    assert small_media.numbers(clip["video"]) == [*range(30, 40), *6 * [0]]
    assert not clip["video"][10:].any()
    assert 10 * 1920 <= clip["num_samples"] < 11 * 1920
    assert not clip["audio"][clip["num_samples"] :].any()
    with pytest.raises(CorruptExample, match="0 of the 16 frames"):
        clips.read_clip(path, 2.0, 16, pad=True)

    path = small_media.write(tmp_path / "x.wav", sound=sound, sound_codec="pcm_s16le")
    with pytest.raises(CorruptExample, match="long and has"):
        clips.read_clip(path, 1.4, 16)


def test_sound_that_ends_before_the_video_goes_on_as_silence(tmp_path):
    sound = small_media.tone(0.8, 48_000)
    path = small_media.write(tmp_path / "x.mp4", REGULAR, sound, rate=48_000)
    clip = clips.read_clip(path, 0, 40)
    assert clip["num_frames"] == 40
    assert clip["num_samples"] == pytest.approx(0.8 * 48_000, abs=1024)
    assert not clip["audio"][clip["num_samples"] :].any()
    assert difference(clip["audio"][: round(0.8 * 48_000)], 0, seconds=0.8) < 0.05


def test_damaged_files_are_named(tmp_path):
    # The index stands in front, so that the file opens though its end is missing.
    sound = small_media.tone(1.6, 48_000)
    options = {"movflags": "faststart"}
    whole = small_media.write(tmp_path / "w.mp4", REGULAR, sound, options=options)
    data = whole.read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptExample, match=r"x\.mp4"):
        clips.read_clip(path, 0.8, 16)
    for damaged in (b"", b"no video at all", data[:200]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptExample, match=r"x\.mp4 (can't be decoded|holds)"):
            clips.read_clip(path, 0, 1)
        with pytest.raises(CorruptExample, match=r"x\.mp4 (can't be decoded|holds)"):
            clips.probe(path)
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        clips.read_clip(tmp_path / "gone.mp4", 0, 1)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_frames_are_turned_as_players_show_them(tmp_path, turns):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :32] = 200  # a corner, by which it is told
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as written:
        stream = written.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv444p"
        stream.set_display_rotation(90 * turns)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        written.mux([*stream.encode(frame), *stream.encode()])
    expected = np.rot90(pixels, turns)
    for size in (None, expected.shape[:2]):
        (found,) = clips.read_clip(path, 0, 1, size)["video"]
        assert np.abs(found.astype(int) - expected).mean() < 4
    shorter = clips.read_clip(path, 0, 1, 16)["video"]
    assert shorter.shape == (1, *(n // 2 for n in expected.shape[:2]), 3)


def test_a_stream_that_is_not_wanted_is_passed_over(tmp_path):
    sound = small_media.tone(1.2, 48_000)
    path = small_media.write(tmp_path / "x.mp4", REGULAR, sound, rate=48_000)
    heard = clips.read_clip(path, 0.4, 16, streams=("audio",))
    assert heard["video"] is None and heard["num_samples"] == 16 * 1920
    assert difference(heard["audio"], 0.4) < 0.05
    assert clips.probe(path, ("audio",)).duration == pytest.approx(1.2, abs=0.03)
    assert clips.read_clip(path, 0.4, 16, streams=("video",))["audio"] is None
    silent = small_media.write(tmp_path / "y.mp4", REGULAR)
    with pytest.raises(CorruptExample, match=r"y\.mp4 holds no sound\."):
        clips.read_clip(silent, 0, 16, streams=("audio",))
