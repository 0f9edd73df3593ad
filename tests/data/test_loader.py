"""Batches: order, restart, processes, padding."""

import dataclasses
import itertools

import numpy as np
import pytest
from absl import flags

from perceiver_jax.data.loader import EvalLoader, Mixture, TrainLoader
from perceiver_jax.data.sources import ArraySource, CorruptExample, SkipCorrupt


def _source(size):
    return ArraySource(x=np.arange(size))


def _noisy(example, rng):
    return {"x": np.int64(example["x"]), "noise": rng.random(2)}


def _plain(example):
    return {"x": np.int64(example["x"]), "row": np.full(3, example["x"] + 1.0)}


def _scale(batch, rng):
    return {**batch, "scale": rng.random(len(batch["x"]))}


def _first(batches, count):
    return list(itertools.islice(batches, count))


def _assert_equal(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def _joined(*parts):
    """The batches of all processes as global ones."""
    return [
        {name: np.concatenate([batch[name] for batch in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]


def test_every_epoch_has_every_example_in_a_new_order():
    batches = _first(TrainLoader(_source(12), _noisy, 4, 0).batches(), 9)
    for batch in batches:
        assert batch["x"].shape == (4,) and batch["noise"].shape == (4, 2)
        np.testing.assert_array_equal(batch["mask"], np.ones(4, np.float32))
        assert batch["mask"].dtype == np.float32
    epochs = np.concatenate([batch["x"] for batch in batches]).reshape(3, 12)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(12)] * 3)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    noise = np.concatenate([batch["noise"] for batch in batches])
    assert len(np.unique(noise)) == noise.size  # also differs from epoch to epoch


def test_the_seed_decides_order_and_noise():
    one, same, other = (
        _first(TrainLoader(_source(12), _noisy, 4, seed, finish=_scale).batches(), 4)
        for seed in [5, 5, 6]
    )
    _assert_equal(one, same)
    for name in ["x", "noise", "scale"]:
        assert (one[0][name] != other[0][name]).any()


@pytest.mark.parametrize("size", [3, 10, 100])  # below, around and far above a batch
def test_starting_at_a_step_continues_exactly(size):
    settings = {"seed": 1, "finish": _scale, "process_index": 1, "process_count": 2}
    loader = TrainLoader(_source(size), _noisy, 8, **settings)
    batches = _first(loader.batches(), 9)
    _assert_equal(batches[5:], _first(loader.batches(5), 4))


@pytest.mark.parametrize("process_count", [2, 3, 6])
def test_processes_together_see_the_global_batches(process_count):
    whole = _first(TrainLoader(_source(20), _noisy, 6, 3).batches(), 7)
    parts = [
        _first(
            TrainLoader(
                *(_source(20), _noisy, 6, 3),
                process_index=index,
                process_count=process_count,
            ).batches(),
            7,
        )
        for index in range(process_count)
    ]
    _assert_equal(_joined(*parts), whole)


def test_finish_draws_differently_in_each_process_and_step():
    scales = [
        batch["scale"]
        for index in range(2)
        for batch in _first(
            TrainLoader(
                *(_source(20), _noisy, 4, 3),
                finish=_scale,
                process_index=index,
                process_count=2,
            ).batches(),
            5,
        )
    ]
    assert len(np.unique(scales)) == 20


def test_worker_processes_change_nothing():
    flags.FLAGS.mark_as_parsed()  # as absl.app.run does in a program
    loader = TrainLoader(_source(10), _noisy, 4, 2, finish=_scale)
    expected = _first(loader.batches(3), 5)
    batches = dataclasses.replace(loader, num_workers=1).batches(3)
    _assert_equal(_first(batches, 5), expected)
    batches.close()


def test_a_mask_of_the_task_is_kept():
    def half_valid(example, rng):
        return {"x": example["x"], "mask": np.float32(example["x"] % 2)}

    batch = next(TrainLoader(_source(8), half_valid, 8, 0).batches())
    np.testing.assert_array_equal(batch["mask"], batch["x"] % 2)


@pytest.mark.parametrize("size", [1, 5, 8, 17])
@pytest.mark.parametrize("batch_size, process_count", [(4, 1), (4, 2), (8, 4), (6, 6)])
def test_evaluation_sees_every_example_once(size, batch_size, process_count):
    counts = set()
    seen = []
    for index in range(process_count):
        batches = EvalLoader(
            *(_source(size), _plain, batch_size),
            process_index=index,
            process_count=process_count,
        ).batches()
        first, again = list(batches), list(batches)
        _assert_equal(first, again)
        counts.add(len(first))
        for batch in first:
            assert batch["row"].shape == (batch_size // process_count, 3)
            assert batch["mask"].dtype == np.float32
            valid = batch["mask"] == 1
            seen.extend(batch["x"][valid])
            np.testing.assert_array_equal(batch["row"][valid, 0], batch["x"][valid] + 1)
            np.testing.assert_array_equal(batch["mask"][~valid], 0)
            np.testing.assert_array_equal(batch["row"][~valid], 0)
    assert len(counts) == 1  # all processes make the same number of steps
    np.testing.assert_array_equal(np.sort(seen), np.arange(size))


def _reject(*numbers):
    def preprocess(example):
        if example["x"] in numbers:
            raise CorruptExample(f"cat/{example['x']}.jpg: truncated")
        return _plain(example)

    return preprocess


def test_evaluation_leaves_out_names_and_counts_corrupt_examples(caplog):
    # One of a batch, a whole batch, and the last before padding.
    batches = list(EvalLoader(_source(10), _reject(0, 4, 5, 6, 7, 9), 4).batches())
    seen = [batch["x"][batch["mask"] == 1] for batch in batches]
    np.testing.assert_array_equal(np.concatenate(seen), [1, 2, 3, 8])
    left_out = [batch["left_out"] for batch in batches]
    np.testing.assert_array_equal(
        left_out, np.float32([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]])
    )
    for batch in batches:
        assert batch["row"].shape == (4, 3)
        np.testing.assert_array_equal(batch["row"][batch["mask"] == 0], 0)
    for number in (0, 4, 5, 6, 7, 9):
        assert f"cat/{number}.jpg: truncated" in caplog.text


def test_processes_leave_out_the_same_examples():
    whole = list(EvalLoader(_source(10), _reject(3, 6), 4).batches())
    parts = [
        list(EvalLoader(_source(10), _reject(3, 6), 4, index, 2).batches())
        for index in range(2)
    ]
    _assert_equal(_joined(*parts), whole)


def test_evaluation_without_any_good_example_says_so():
    batches = EvalLoader(_source(3), _reject(0, 1, 2), 4).batches()
    with pytest.raises(ValueError, match="All 3 examples to evaluate on are corrupt"):
        list(batches)


def test_siblings_stand_side_by_side():
    def both_ways(example, rng):
        return [{"x": example["x"], "sign": sign} for sign in (1, -1)]

    loader = TrainLoader(_source(8), both_ways, 4, 0, siblings=2)
    assert loader.num_examples == 16
    batches = _first(loader.batches(), 4)
    for batch in batches:
        np.testing.assert_array_equal(batch["sign"], [1, -1, 1, -1])
        np.testing.assert_array_equal(batch["x"][0::2], batch["x"][1::2])
    seen = np.concatenate([batch["x"][0::2] for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(8))
    parts = [
        _first(
            dataclasses.replace(loader, process_index=n, process_count=2).batches(), 4
        )
        for n in range(2)
    ]
    _assert_equal(_joined(*parts), batches)


def test_groups_of_examples_become_one():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    loader = TrainLoader(_source(12), gather, 2, 0, group_size=3)
    assert loader.num_examples == 4
    epoch = np.concatenate([batch["x"] for batch in _first(loader.batches(), 2)])
    assert epoch.shape == (4, 3)
    np.testing.assert_array_equal(np.sort(epoch, axis=None), np.arange(12))
    _assert_equal(_first(loader.batches(), 9)[5:], _first(loader.batches(5), 4))


def test_a_mixture_gives_each_source_its_share():
    few, many = ArraySource(x=np.arange(3)), ArraySource(x=np.arange(100, 200))
    loader = TrainLoader(Mixture([few, many], [3, 1]), _noisy, 8, 0)
    assert loader.num_examples == 103
    batches = _first(loader.batches(), 40)
    drawn = np.concatenate([batch["x"] for batch in batches])
    assert np.mean(drawn < 100) == pytest.approx(3 / 4, abs=0.01)
    # Neither comes again before all of it was there.
    rare = drawn[drawn >= 100]
    assert len(np.unique(rare)) == len(rare) == 80
    _assert_equal(batches[5:9], _first(loader.batches(5), 4))


def test_groups_of_a_mixture_are_of_one_source():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    mixture = Mixture([_source(6), ArraySource(x=np.arange(100, 106))], [1, 1])
    batches = TrainLoader(mixture, gather, 4, 0, group_size=3).batches()
    drawn = np.concatenate([batch["x"] for batch in _first(batches, 5)])
    assert {tuple(row) for row in drawn < 100} == {(True,) * 3, (False,) * 3}


def test_impossible_sizes_are_rejected():
    for make in (
        lambda source, size, count: TrainLoader(
            source, _noisy, size, 0, process_count=count
        ),
        lambda source, size, count: EvalLoader(
            source, _plain, size, process_count=count
        ),
    ):
        with pytest.raises(ValueError, match="10 is not divisible by 4: processes"):
            make(_source(8), 10, 4).batches()
        with pytest.raises(ValueError, match="source holds no examples"):
            make(_source(0), 4, 1).batches()
    empty = Mixture([_source(8), _source(0)], [1, 1])
    with pytest.raises(ValueError, match="source holds no examples"):
        TrainLoader(empty, _noisy, 4, 0).batches()


# What a batch is made of.


def _named(size, start=0):
    numbers = np.arange(start, start + size)
    return ArraySource(x=numbers, name=np.array([f"file {n}" for n in numbers]))


def _assert_named(loader, steps=(0, 1, 5), count=7):
    batches = _first(loader.batches(), count)
    for step in steps:
        found = [f"file {n}" for n in batches[step]["x"]]
        assert loader.names(step) == found


@pytest.mark.parametrize("size", [3, 10, 100])
def test_names_are_those_of_the_batch_at_a_step(size):
    _assert_named(TrainLoader(_named(size), _noisy, 8, 3))
    mixture = Mixture([_named(size), _named(5, start=1000)], [1, 2])
    _assert_named(TrainLoader(mixture, _noisy, 8, 3))


def test_names_are_those_of_all_processes():
    for index in range(2):
        loader = TrainLoader(
            *(_named(20), _noisy, 8, 1), process_index=index, process_count=2
        )
        batch = _first(loader.batches(), 4)[3]
        part = loader.names(3)[4 * index : 4 * index + 4]
        assert part == [f"file {n}" for n in batch["x"]]
        assert len(loader.names(3)) == 8


def test_a_group_has_the_names_of_all_in_it_and_siblings_are_numbered():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    groups = TrainLoader(_named(12), gather, 2, 0, group_size=3)
    batch = _first(groups.batches(), 3)[2]
    found = [", ".join(f"file {n}" for n in row) for row in batch["x"]]
    assert groups.names(2) == found

    def both_ways(example, rng):
        return [{"x": example["x"]}, {"x": example["x"]}]

    pairs = TrainLoader(_named(12), both_ways, 6, 0, siblings=2)
    batch = _first(pairs.batches(), 3)[2]
    ways = itertools.cycle((1, 2))
    assert pairs.names(2) == [f"file {n}, {next(ways)} of 2" for n in batch["x"]]


def test_what_has_no_name_is_told_by_its_index():
    loader = TrainLoader(_source(10), _noisy, 4, 0)
    found = [f"example {n}" for n in next(loader.batches())["x"]]
    assert loader.names(0) == found


def _even(example):
    if example["x"] % 2:
        raise CorruptExample(f"{example['name']}: odd")
    return example


def test_the_name_is_that_of_the_example_in_the_place_of_a_corrupt_one():
    loader = TrainLoader(SkipCorrupt(_named(10), _even, 10), _noisy, 8, 0)
    _assert_named(loader)
    assert all(int(name.split()[1]) % 2 == 0 for name in loader.names(0))


class _Flaky(ArraySource):
    """Each example fails once before it can be read."""

    def __init__(self, size):
        super().__init__(x=np.arange(size))
        self._met = set()

    def __getitem__(self, index):
        if index not in self._met:
            self._met.add(index)
            raise OSError(5, "Input/output error")
        return super().__getitem__(index)


def test_reading_is_tried_again_in_training_and_in_evaluation(monkeypatch):
    monkeypatch.setattr("perceiver_jax.data.sources._WAITS", (0.0, 0.0))
    expected = _first(TrainLoader(_source(6), _noisy, 4, 0).batches(), 3)
    _assert_equal(_first(TrainLoader(_Flaky(6), _noisy, 4, 0).batches(), 3), expected)
    expected = list(EvalLoader(_source(6), _plain, 4).batches())
    _assert_equal(list(EvalLoader(_Flaky(6), _plain, 4).batches()), expected)
