"""Frames of sound to samples: placed by their times, averaged, resampled."""

import av
import numpy as np
import pytest

from perceiver_jax.data.audio import decoding


def frame(samples, rate=8_000):
    """A frame of [channels, samples] float32."""
    layout = "mono" if len(samples) == 1 else "stereo"
    made = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    made.sample_rate = rate
    return made


def ones(count, value=1.0):
    return frame(np.full((1, count), value, np.float32))


def test_frames_are_placed_by_their_times():
    """With silence where there are none, before, between and after."""
    frames = [(0.5, ones(800)), (0.6, ones(800, 0.5)), (1.0, ones(800, -1))]
    sound, known = decoding.to_samples(frames, 0.45, 8_000, 8_000)
    expected = np.zeros(8_000)
    expected[400:1200], expected[1200:2000], expected[4400:5200] = 1, 0.5, -1
    np.testing.assert_allclose(sound[:, 0], expected, atol=1e-6)
    assert known == 5200 and sound.dtype == np.float32


def test_rounded_times_make_no_gaps():
    steps = np.arange(6) * 0.1
    frames = [(time + 0.001 * (-1) ** n, ones(800)) for n, time in enumerate(steps)]
    sound, known = decoding.to_samples(frames, 0.1, 3_200, 8_000)
    assert known == 3_200
    np.testing.assert_allclose(sound, 1, atol=1e-6)


def test_only_what_is_asked_for_is_fetched():
    fetched = []

    def endless():
        for number in range(10_000):
            fetched.append(number)
            yield number / 10, ones(800)

    sound, _ = decoding.to_samples(endless(), 1.0, 800, 8_000)
    assert (sound == 1).all() and len(fetched) < 15


def test_channels_are_averaged_and_loud_sound_is_clipped():
    samples = np.array([[1.0, 1.0, 3.0], [0.0, -1.0, 2.0]], np.float32)
    sound, _ = decoding.to_samples([(0.0, frame(samples))], 0.0, 3, 8_000)
    np.testing.assert_allclose(sound[:, 0], [0.5, 0, 1])


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_resampled_sound_stays_where_it_was(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)[None]
    parts = [
        (s / rate, frame(tone[:, s : s + 1000], rate)) for s in range(0, rate, 1000)
    ]
    sound, known = decoding.to_samples(parts, 0.0, 48_000, 48_000)
    assert known == 48_000
    expected = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    np.testing.assert_allclose(sound[200:-200, 0], expected[200:-200], atol=2e-3)


def test_another_rate_in_the_middle_begins_anew():
    later = frame(np.full((2, 1600), 0.25, np.float32), 16_000)
    sound, _ = decoding.to_samples([(0.0, ones(800)), (0.1, later)], 0, 1_600, 8_000)
    np.testing.assert_allclose(sound[100:700], 1, atol=1e-3)
    np.testing.assert_allclose(sound[900:1500], 0.25, atol=1e-3)


def test_no_frames_are_silence():
    sound, known = decoding.to_samples([], 0.0, 5, 8_000)
    assert known == 0 and sound.shape == (5, 1) and not sound.any()
