"""Rendered clips: functions of (seed, number), whose sound follows their shape."""

import pickle

import numpy as np
import pytest

from perceiver_jax.data.video.rendered import RenderedClips

SMALL = RenderedClips(count=36, size=(32, 40), frames=16, samples_per_frame=64)


def shape_mask(frame):
    """Where a frame shows the shape, which is brighter than any ground."""
    return frame.max(-1) > 0.5 * 255


def pitch(sound, rate):
    """The strongest frequency of [samples], in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return np.fft.rfftfreq(8 * len(sound), 1 / rate)[spectrum.argmax()]


def test_a_clip_is_a_function_of_seed_and_number():
    again = pickle.loads(pickle.dumps(SMALL))
    later = RenderedClips(5, (32, 40), 16, 64, first=10)
    other = RenderedClips(36, (32, 40), 16, 64, seed=1)
    for index in (0, 4):
        clip, same = SMALL[10 + index], later[index]
        assert clip["name"] == same["name"] and clip["label"] == same["label"]
        for field in ("video", "audio"):
            np.testing.assert_array_equal(clip[field], again[10 + index][field])
            np.testing.assert_array_equal(clip[field], same[field])
            assert (clip[field] != SMALL[index][field]).any()
            assert (clip[field] != other[10 + index][field]).any()
    np.testing.assert_array_equal(SMALL[-1]["video"], SMALL[35]["video"])
    with pytest.raises(IndexError):
        SMALL[36]


def test_a_clip_has_the_form_of_all_clips():
    assert len(SMALL) == 36 and len(SMALL.class_names) == 9
    labels = []
    for clip in SMALL:
        assert clip["video"].shape == (16, 32, 40, 3)
        assert clip["video"].dtype == np.uint8
        assert clip["audio"].shape == (16 * 64, 1)
        assert clip["audio"].dtype == np.float32
        assert np.abs(clip["audio"]).max() <= 1
        (label,) = clip["label"]
        assert clip["name"].endswith(f": {SMALL.class_names[label]}")
        labels.append(label)
    assert np.bincount(labels).tolist() == 9 * [4]


def test_pitch_follows_height():
    """At true rates; a tone of 220 Hz at the lower edge, 880 Hz at the upper one."""
    source = RenderedClips(18, (64, 48), 8, 1920)
    for clip in source:
        if "sine" not in clip["name"]:
            continue
        for number in (1, 4, 6):
            rows = np.nonzero(shape_mask(clip["video"][number]))[0]
            height = 1 - (rows.mean() + 0.5) / 64
            # Around the time that the frame begins.
            sound = clip["audio"][(number - 1) * 1920 : (number + 1) * 1920, 0]
            assert pitch(sound, 48_000) == pytest.approx(220 * 4**height, rel=0.06)


def test_shapes_move_and_differ_by_their_outline_alone():
    """Area tells nothing; the extent for its area does."""
    source = RenderedClips(270, (64, 64), 2, 64)
    areas = {"circle": [], "square": [], "triangle": []}
    extents = {name: [] for name in areas}
    for clip in source:
        shape = clip["name"].split(": ")[1].split(",")[0]
        masks = [shape_mask(frame) for frame in clip["video"]]
        assert (masks[0] != masks[1]).any()
        y, x = np.nonzero(masks[0])
        areas[shape].append(len(y))
        distance = np.hypot(y - y.mean(), x - x.mean()).max()
        extents[shape].append(distance / np.sqrt(len(y) / np.pi))
    means = [np.mean(sizes) for sizes in areas.values()]
    np.testing.assert_allclose(means, means[0], rtol=0.12)
    circle, square, triangle = (np.mean(extents[name]) for name in areas)
    assert circle < 1.06 < square < 1.3 < triangle


def test_sounds_differ_by_their_wave_and_not_by_their_power():
    source = RenderedClips(270, (16, 16), 16, 64)
    powers = {"sine": [], "buzz": [], "tremolo": []}
    peaks = {name: [] for name in powers}
    for clip in source:
        sound = clip["name"].split(", ")[1]
        power = np.square(clip["audio"]).mean()
        powers[sound].append(power)
        peaks[sound].append(np.abs(clip["audio"]).max() / np.sqrt(power))
    means = [np.mean(power) for power in powers.values()]
    np.testing.assert_allclose(means, means[0], rtol=0.1)
    np.testing.assert_allclose(peaks["sine"], np.sqrt(2), rtol=0.02)
    assert min(peaks["buzz"]) > 1.9 and min(peaks["tremolo"]) > 1.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (4, 32)}, r"size=\(4, 32\)"),
        ({"frames": 0}, "frames=0"),
        ({"samples_per_frame": 16}, "samples_per_frame=16"),
        ({"count": 0}, "count=0"),
        ({"first": -1}, "first=-1"),
    ],
)
def test_what_cannot_be_rendered_is_named(change, message):
    fields = {"count": 1, "size": (32, 32), "frames": 1, "samples_per_frame": 64}
    with pytest.raises(ValueError, match=message):
        RenderedClips(**(fields | change))
