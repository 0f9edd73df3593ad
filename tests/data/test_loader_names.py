"""The names of a batch's examples, and examples that need more than one try."""

import itertools

import numpy as np
import pytest
from loaders import assert_equal, first, noisy, plain, source

from perceiver_jax.data.loader import EvalLoader, Mixture, TrainLoader
from perceiver_jax.data.sources import ArraySource, CorruptExample, SkipCorrupt


def _named(size, start=0):
    numbers = np.arange(start, start + size)
    return ArraySource(x=numbers, name=np.array([f"file {n}" for n in numbers]))


def _assert_named(loader, steps=(0, 1, 5), count=7):
    batches = first(loader.batches(), count)
    for step in steps:
        found = [f"file {n}" for n in batches[step]["x"]]
        assert loader.names(step) == found


@pytest.mark.parametrize("size", [3, 10, 100])
def test_names_are_those_of_the_batch_at_a_step(size):
    _assert_named(TrainLoader(_named(size), noisy, 8, 3))
    mixture = Mixture([_named(size), _named(5, start=1000)], [1, 2])
    _assert_named(TrainLoader(mixture, noisy, 8, 3))


def test_names_are_those_of_all_processes():
    for index in range(2):
        loader = TrainLoader(
            *(_named(20), noisy, 8, 1), process_index=index, process_count=2
        )
        batch = first(loader.batches(), 4)[3]
        part = loader.names(3)[4 * index : 4 * index + 4]
        assert part == [f"file {n}" for n in batch["x"]]
        assert len(loader.names(3)) == 8


def test_a_group_has_the_names_of_all_in_it_and_siblings_are_numbered():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    groups = TrainLoader(_named(12), gather, 2, 0, group_size=3)
    batch = first(groups.batches(), 3)[2]
    found = [", ".join(f"file {n}" for n in row) for row in batch["x"]]
    assert groups.names(2) == found

    def both_ways(example, rng):
        return [{"x": example["x"]}, {"x": example["x"]}]

    pairs = TrainLoader(_named(12), both_ways, 6, 0, siblings=2)
    batch = first(pairs.batches(), 3)[2]
    ways = itertools.cycle((1, 2))
    assert pairs.names(2) == [f"file {n}, {next(ways)} of 2" for n in batch["x"]]


def test_what_has_no_name_is_told_by_its_index():
    loader = TrainLoader(source(10), noisy, 4, 0)
    found = [f"example {n}" for n in next(loader.batches())["x"]]
    assert loader.names(0) == found


def _even(example):
    if example["x"] % 2:
        raise CorruptExample(f"{example['name']}: odd")
    return example


def test_the_name_is_that_of_the_example_in_the_place_of_a_corrupt_one():
    loader = TrainLoader(SkipCorrupt(_named(10), _even, 10), noisy, 8, 0)
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
    expected = first(TrainLoader(source(6), noisy, 4, 0).batches(), 3)
    assert_equal(
        first(TrainLoader(_Flaky(6), noisy, 4, 0).batches(), 3),
        expected,
    )
    expected = list(EvalLoader(source(6), plain, 4).batches())
    assert_equal(list(EvalLoader(_Flaky(6), plain, 4).batches()), expected)
