"""Sources: what they give, and what they say when they cannot."""

import errno
import pickle
import sys
import time

import numpy as np
import pytest

from perceiver_jax.data.sources import (
    ArraySource,
    CorruptExample,
    Kept,
    ReplaceCorrupt,
    SkipCorrupt,
    Subset,
    UnreadableExample,
    files_below,
    read,
)


def test_array_source_gives_rows_of_every_array():
    source = ArraySource(image=np.arange(12).reshape(3, 4), label=np.array([7, 8, 9]))
    assert len(source) == 3
    np.testing.assert_array_equal(source[1]["image"], [4, 5, 6, 7])
    assert source[2]["label"] == 9


@pytest.mark.parametrize(
    "arrays",
    [{}, {"image": np.zeros((3, 4)), "label": np.zeros(2)}, {"label": np.array(1)}],
)
def test_array_source_rejects_what_has_no_common_length(arrays):
    with pytest.raises(ValueError, match="arrays need one leading length|at least one"):
        ArraySource(**arrays)


def _reject_multiples_of_three(example):
    if example["x"] % 3 == 0:
        raise CorruptExample(f"file {example['x']}: too short")
    return {"decoded": int(example["x"])}


def test_skip_corrupt_gives_the_next_good_example(caplog):
    source = SkipCorrupt(ArraySource(x=np.arange(7)), _reject_multiples_of_three, 3)
    for _ in range(2):
        decoded = [source[index]["decoded"] for index in range(len(source))]
        assert decoded == [1, 1, 2, 4, 4, 5, 1]  # 6 goes on at the start
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [  # each once, although read twice
        f"corrupt example {count} of at most 3 allowed: file {name}: too short"
        for count, name in [(1, 0), (2, 3), (3, 6)]
    ]


def test_skip_corrupt_stops_above_its_limit_and_counts_anew_in_a_worker():
    source = SkipCorrupt(ArraySource(x=np.arange(7)), _reject_multiples_of_three, 2)
    assert source[0]["decoded"] == source[1]["decoded"] == 1
    assert source[3]["decoded"] == 4
    worker = pickle.loads(pickle.dumps(source))
    with pytest.raises(RuntimeError, match="more than 2 corrupt examples.*file 6"):
        source[6]
    assert worker[6]["decoded"] == 1


def test_skip_corrupt_has_no_limit_where_none_is_said(caplog):
    numbers = ArraySource(x=np.arange(4))
    source = SkipCorrupt(numbers, _reject_multiples_of_three, limit=sys.maxsize)
    assert source[0] == {"decoded": 1}
    assert caplog.messages[0].startswith("corrupt example 1: ")


def test_skip_corrupt_stops_where_nothing_is_good():
    zeros = ArraySource(x=np.zeros(3, int))
    with pytest.raises(RuntimeError, match="all 3 examples are corrupt"):
        SkipCorrupt(zeros, _reject_multiples_of_three, limit=10)[0]


class _Counted(ArraySource):
    """Counts how often it is read."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def test_kept_examples_are_made_once():
    source = _Counted(x=np.arange(3))
    kept = Kept(source)
    assert len(kept) == 3
    for _ in range(3):
        assert [kept[index]["x"] for index in range(3)] == [0, 1, 2]
    assert source.reads == 3
    with pytest.raises(IndexError):
        kept[3]


def test_subset_has_its_examples_in_its_order():
    part = Subset(ArraySource(x=np.arange(5)), [4, 1])
    assert [example["x"] for example in part] == [4, 1]
    assert len(part) == 2


def test_files_below_a_folder_in_the_order_of_their_numbers(tmp_path):
    names = ["f2.png", "f10.PNG", "f1.png", "deep [1]/f3.png", ".f4.png", "f5.txt"]
    for name in names:
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / "folder.png").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a")
    for folder in (tmp_path / "a", tmp_path / "b" / "link"):
        expected = ["deep [1]/f3.png", "f1.png", "f2.png", "f10.PNG"]
        expected = [folder / name for name in expected]
        root = folder if folder.name == "a" else tmp_path / "b"
        assert files_below(root, (".png",)) == expected


class _Failing(ArraySource):
    """Raises the given errors, one at each try, before it gives an example."""

    def __init__(self, *errors):
        super().__init__(x=np.arange(9))
        self.errors = list(errors)

    def __getitem__(self, index):
        if self.errors:
            raise self.errors.pop(0)
        return super().__getitem__(index)


class _FailingFiles(_Failing):
    def name(self, index):
        return f"cat/{index}.jpg"


LOST = OSError(errno.EIO, "Input/output error")


@pytest.fixture
def waits(monkeypatch):
    """How long reading has waited, without waiting."""
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def test_an_error_that_may_pass_is_waited_for_longer_each_time(waits, caplog):
    source = _FailingFiles(LOST, TimeoutError("no answer"), LOST)
    assert read(source, 7) == {"x": 7}
    assert len(waits) == 3 and waits == sorted(set(waits))
    assert len(caplog.messages) == 3
    assert caplog.messages[1].startswith("cat/7.jpg: no answer; trying again in")


def test_what_fails_at_every_try_is_named(waits):
    for kind, name in ((_FailingFiles, "cat/3.jpg"), (_Failing, "example 3")):
        source = kind(*[LOST] * 9)
        message = f"{name} can't be read, tried 4 times: .*Input/output error"
        with pytest.raises(UnreadableExample, match=message):
            read(source, 3)
        assert len(source.errors) == 5


@pytest.mark.parametrize(
    "error", [FileNotFoundError("gone"), PermissionError("no"), ValueError("odd")]
)
def test_what_does_not_pass_is_not_tried_again(waits, error):
    source = _Failing(error)
    with pytest.raises(type(error), match=str(error)):
        read(source, 3)
    assert not waits and read(source, 3) == {"x": 3}


def test_an_example_within_others_is_tried_no_more_often_and_named(waits):
    source = _FailingFiles(*[LOST] * 9)
    within = Subset(SkipCorrupt(source, dict, 1), [5])
    with pytest.raises(UnreadableExample, match="cat/5.jpg can't be read, tried 4"):
        read(within, 0)
    assert len(source.errors) == 5


class Numbers:
    """Examples that know their index."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        return {"index": index, "name": f"number {index}"}


def _mostly_good(example, rng):
    """A random part of an example: of numbers that 3 divides, half are corrupt."""
    part = int(rng.integers(1_000))
    if example["index"] % 3 == 0 and part % 2:
        raise CorruptExample(f"{example['name']}, part {part}")
    return {"index": example["index"], "part": part}


def test_what_stands_in_for_a_corrupt_part_depends_on_the_draw_alone(caplog):
    source = Numbers(7)

    def made(seeds):
        replace = ReplaceCorrupt(source, _mostly_good, limit=3)
        draw = np.random.default_rng
        return {seed: replace(source[6], draw(seed)) for seed in seeds}

    forward, backward = made(range(40)), made(reversed(range(40)))
    assert forward == backward
    # Of 6 half are corrupt; 0 comes next, of which half are, then 1.
    counts = np.bincount([example["index"] for example in forward.values()])
    assert counts[6] > 10 and counts[0] > 4 and counts[1] > 4 and counts.sum() == 40
    parts = [example["part"] for example in forward.values()]
    assert len(set(parts)) > 35
    assert len(caplog.messages) == 4  # each of 6 and 0, in each of both


def test_replace_corrupt_ends_where_too_much_is_missing():
    source = Numbers(4)
    rng = np.random.default_rng(0)

    def never(example, rng):
        raise CorruptExample(example["name"])

    with pytest.raises(RuntimeError, match="more than 2 corrupt examples.*number 2"):
        ReplaceCorrupt(source, never, limit=2)(source[0], rng)
    with pytest.raises(RuntimeError, match="all 4 examples are corrupt"):
        ReplaceCorrupt(source, never, limit=9)(source[0], rng)


def test_replace_corrupt_reads_again_with_the_same_numbers(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    source = Numbers(4)
    drawn = []

    def busy_once(example, rng):
        drawn.append(int(rng.integers(1_000)))
        if len(drawn) == 1:
            raise OSError(errno.EIO, "server is away")
        return example

    replace = ReplaceCorrupt(source, busy_once, limit=0)
    assert replace(source[2], np.random.default_rng(0))["index"] == 2
    assert len(drawn) == 2 and drawn[0] == drawn[1]
