"""Mel spectrograms, beside a transform written out, and what is covered of them."""

import pickle

import numpy as np
import pytest

from perceiver_jax.data.audio.spectrogram import MelSpectrogram, spec_augment

RATE = 48_000
MEL = MelSpectrogram(RATE, 61_440, windows=60, bins=80)


def tone(hertz, amplitude=1.0, count=61_440, rate=RATE):
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(count) / rate)
    return wave.astype(np.float32)[:, None]


def to_mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


@pytest.mark.parametrize("hertz", [300, 1000, 8000, 20_000])
def test_a_tone_is_in_the_band_of_its_pitch(hertz):
    found = MEL(tone(hertz))
    assert found.shape == (60, 80) and found.dtype == np.float32
    expected = to_mel(hertz) / to_mel(RATE / 2) * 81 - 1
    middle = found[5:-5]
    assert np.abs(middle.argmax(1) - expected).max() <= 1
    assert 0.85 < middle.max() <= 1  # of full scale
    assert np.ptp(middle.max(1)) < 0.01


def test_loudness_is_in_decibels_from_silence_to_full_scale():
    loud, soft = (MEL(tone(1000, amplitude)) for amplitude in (0.5, 0.05))
    best = loud[30].argmax()
    # 20 dB of the 80 between -1 and 1.
    assert loud[30, best] - soft[30, best] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_array_equal(MEL(np.zeros((61_440, 1), np.float32)), -1)


def test_one_window_is_as_written_out():
    """By the definition of the discrete Fourier transform, and of triangles."""
    mel = MelSpectrogram(1600, 512, windows=16, bins=8)
    sound = np.random.default_rng(0).uniform(-1, 1, (512, 1)).astype(np.float32)
    window = np.concatenate([np.zeros(16), sound[:, 0], np.zeros(16)])[96:160]
    n = np.arange(64)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * n / 64)
    corners = np.linspace(0, to_mel(800), 10)
    power = np.zeros(8)
    for k in range(33):
        x = np.sum(window * taper * np.exp(-2j * np.pi * k * n / 64))
        m = to_mel(k * 1600 / 64)
        for b, (low, mid, high) in enumerate(zip(corners, corners[1:], corners[2:])):
            share = min((m - low) / (mid - low), (high - m) / (high - mid))
            power[b] += max(0, share) * (2 * abs(x) / taper.sum()) ** 2
    expected = np.clip(10 * np.log10(power + 1e-8), -80, 0) / 40 + 1
    np.testing.assert_allclose(mel(sound)[3], expected, atol=1e-4)


def test_windows_tell_the_time():
    sound = np.zeros((61_440, 1), np.float32)
    sound[20 * 1024 : 21 * 1024] = tone(1000, count=1024)
    loudest = MEL(sound).max(1)
    assert (
        loudest.argmax() == 20 and (loudest[[*range(18), *range(23, 60)]] == -1).all()
    )


def test_sizes_that_do_not_go_together_are_named():
    with pytest.raises(ValueError, match="61441 samples .* into 60 windows"):
        MelSpectrogram(RATE, 61_441, 60, 80)
    with pytest.raises(ValueError, match="of 400 mel bins are narrower"):
        MelSpectrogram(RATE, 61_440, 60, 400)
    again = pickle.loads(pickle.dumps(MEL))
    np.testing.assert_array_equal(again(tone(500)), MEL(tone(500)))


def test_spec_augment_covers_stretches_of_both_axes():
    x = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    before, widths = x.copy(), []
    for seed in range(60):
        covered = spec_augment(x, np.random.default_rng(seed), 1, (0.25, 0.5))
        changed = covered != x
        rows, columns = changed.all(1), changed.all(0)
        widths.append((rows.sum(), columns.sum()))
        np.testing.assert_array_equal(changed, rows[:, None] | columns)
        assert (covered[changed] == x.mean()).all()
        for line in (rows, columns):  # in one piece
            assert (np.diff(np.flatnonzero(line)) == 1).all()
    np.testing.assert_array_equal(x, before)
    assert np.max(widths, 0).tolist() == [10, 15] and np.min(widths) == 0
    np.testing.assert_array_equal(
        spec_augment(x, np.random.default_rng(0), 0, (1, 1)), x
    )
