"""Clips of labelled files: random ones to train on, spaced ones to evaluate on."""

import pickle

import numpy as np
import pytest
import small_media

from perceiver_jax.data.loader import EvalLoader, TrainLoader
from perceiver_jax.data.sources import CorruptExample, ReplaceCorrupt
from perceiver_jax.data.video.lists import Listing, Segment
from perceiver_jax.data.video.sampling import ClipFiles, ClipReader

NAMES = ["cat", "dog"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A video of 40 numbered frames, with sound."""
    times = [n / 25 for n in range(40)]
    sound = small_media.tone(1.6, 16_000)
    file = tmp_path_factory.mktemp("media") / "x.mp4"
    return str(small_media.write(file, times, sound, rate=16_000))


def files(*segments, clips=1):
    return ClipFiles(Listing(segments, NAMES), clips)


def first_frame(clip):
    return small_media.numbers(clip["video"])[0]


def test_files_are_told_and_not_read():
    segments = Segment("a.mp4", (1,)), Segment("b.mp4", (0, 1), 2.0, 5.0)
    source = files(*segments, clips=3)
    assert len(source) == 6 and source.class_names == NAMES
    assert source[4] == {
        "segment": segments[1],
        "clip": 1,
        "clips": 3,
        "index": 4,
        "label": (0, 1),
        "name": "b.mp4, from 2 s on, clip 2 of 3",
    }
    assert source[0]["name"] == source.name(0) == "a.mp4, clip 1 of 3"
    with pytest.raises(IndexError):
        source[6]


def test_random_clips_begin_at_any_frame_of_the_segment(path):
    reader = ClipReader(8, size=16)
    (whole, part) = files(Segment(path, (1,)), Segment(path, (0,), 0.4, 0.8))
    starts = set()
    for seed in range(40):
        clip = reader.random(whole, np.random.default_rng(seed))
        first = first_frame(clip)
        assert small_media.numbers(clip["video"]) == list(range(first, first + 8))
        assert clip["label"] == (1,) and clip["name"] == path
        starts.add(first)
    assert min(starts) < 4 and max(starts) > 28 and len(starts) > 15
    some = {
        first_frame(reader.random(part, np.random.default_rng(s))) for s in range(24)
    }
    assert some == {10, 11, 12}
    again = [reader.random(whole, np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(again[0]["audio"], again[1]["audio"])


def test_spaced_clips_go_from_the_first_frame_to_the_last(path):
    reader = ClipReader(8, size=16)
    for clips, expected in ((1, [16]), (2, [0, 32]), (5, [0, 8, 16, 24, 32])):
        source = files(Segment(path, (0,)), clips=clips)
        assert [first_frame(reader.spaced(example)) for example in source] == expected
    source = files(Segment(path, (0,), 0.4, 0.88), clips=3)
    assert [first_frame(reader.spaced(example)) for example in source] == [10, 12, 14]


def test_a_clip_longer_than_its_segment_begins_with_it(path):
    (example,) = files(Segment(path, (0,), 0.4, 0.5))
    clip = ClipReader(8, size=16).spaced(example)
    assert small_media.numbers(clip["video"]) == list(range(10, 18))
    (example,) = files(Segment(path, (0,)))
    with pytest.raises(CorruptExample, match="40 of the 50 frames"):
        ClipReader(50, size=16).spaced(example)
    assert ClipReader(50, size=16, pad=True).spaced(example)["num_frames"] == 40


def preprocess(example, rng):
    clip = ClipReader(8, size=16).random(example, rng)
    return {"first": np.array(first_frame(clip)), "label": np.array(clip["label"])}


def test_training_goes_on_from_any_step_though_files_are_damaged(
    path, tmp_path, caplog
):
    """With the same clips, whatever was read before."""
    damaged = tmp_path / "bad.mp4"
    damaged.write_bytes(b"no video")
    segments = [Segment(path, (number,)) for number in range(4)]
    source = files(*segments[:2], Segment(str(damaged), (9,)), *segments[2:])

    def batches(start, count):
        replace = ReplaceCorrupt(source, preprocess, limit=1)
        pickle.loads(pickle.dumps(replace))
        steps = TrainLoader(source, replace, 2, seed=0).batches(start)
        return [next(steps) for _ in range(count)]

    whole = batches(0, 8)
    (message,) = caplog.messages[:1]
    assert message.startswith("corrupt example 1 of at most 1 allowed: ")
    assert "bad.mp4" in message
    for before, after in zip(whole[5:], batches(5, 3)):
        np.testing.assert_array_equal(before["first"], after["first"])
        np.testing.assert_array_equal(before["label"], after["label"])
    labels = np.concatenate([batch["label"] for batch in whole]).ravel()
    assert set(labels) == {0, 1, 2, 3}


def test_evaluation_leaves_a_damaged_file_out(path, tmp_path, caplog):
    damaged = tmp_path / "bad.mp4"
    damaged.write_bytes(b"no video")
    source = files(Segment(path, (1,)), Segment(str(damaged), (0,)), clips=2)

    def read(example):
        clip = ClipReader(8, size=16).spaced(example)
        return {"first": np.array(first_frame(clip))}

    (batch,) = EvalLoader(source, read, 4).batches()
    assert batch["mask"].tolist() == [1, 1, 0, 0]
    assert batch["first"].tolist() == [0, 32, 0, 0]
    assert caplog.text.count("bad.mp4") == 2
