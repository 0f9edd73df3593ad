"""Batches: order, restart, processes, padding."""

import dataclasses

import numpy as np
import pytest
from absl import flags
from loaders import assert_equal, first, joined, noisy, plain, scale, source

from perceiver_jax.data.loader import EvalLoader, Mixture, TrainLoader
from perceiver_jax.data.sources import ArraySource, CorruptExample


def test_every_epoch_has_every_example_in_a_new_order():
    batches = first(TrainLoader(source(12), noisy, 4, 0).batches(), 9)
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
        first(
            TrainLoader(source(12), noisy, 4, seed, finish=scale).batches(),
            4,
        )
        for seed in [5, 5, 6]
    )
    assert_equal(one, same)
    for name in ["x", "noise", "scale"]:
        assert (one[0][name] != other[0][name]).any()


@pytest.mark.parametrize("size", [3, 10, 100])  # below, around and far above a batch
def test_starting_at_a_step_continues_exactly(size):
    settings = {
        "seed": 1,
        "finish": scale,
        "process_index": 1,
        "process_count": 2,
    }
    loader = TrainLoader(source(size), noisy, 8, **settings)
    batches = first(loader.batches(), 9)
    assert_equal(batches[5:], first(loader.batches(5), 4))


@pytest.mark.parametrize("process_count", [2, 3, 6])
def test_processes_together_see_the_global_batches(process_count):
    whole = first(TrainLoader(source(20), noisy, 6, 3).batches(), 7)
    parts = [
        first(
            TrainLoader(
                *(source(20), noisy, 6, 3),
                process_index=index,
                process_count=process_count,
            ).batches(),
            7,
        )
        for index in range(process_count)
    ]
    assert_equal(joined(*parts), whole)


def test_finish_draws_differently_in_each_process_and_step():
    scales = [
        batch["scale"]
        for index in range(2)
        for batch in first(
            TrainLoader(
                *(source(20), noisy, 4, 3),
                finish=scale,
                process_index=index,
                process_count=2,
            ).batches(),
            5,
        )
    ]
    assert len(np.unique(scales)) == 20


def test_worker_processes_change_nothing():
    flags.FLAGS.mark_as_parsed()  # as absl.app.run does in a program
    loader = TrainLoader(source(10), noisy, 4, 2, finish=scale)
    expected = first(loader.batches(3), 5)
    batches = dataclasses.replace(loader, num_workers=1).batches(3)
    assert_equal(first(batches, 5), expected)
    batches.close()


def test_a_mask_of_the_task_is_kept():
    def half_valid(example, rng):
        return {"x": example["x"], "mask": np.float32(example["x"] % 2)}

    batch = next(TrainLoader(source(8), half_valid, 8, 0).batches())
    np.testing.assert_array_equal(batch["mask"], batch["x"] % 2)


@pytest.mark.parametrize("size", [1, 5, 8, 17])
@pytest.mark.parametrize("batch_size, process_count", [(4, 1), (4, 2), (8, 4), (6, 6)])
def test_evaluation_sees_every_example_once(size, batch_size, process_count):
    counts = set()
    seen = []
    for index in range(process_count):
        batches = EvalLoader(
            *(source(size), plain, batch_size),
            process_index=index,
            process_count=process_count,
        ).batches()
        first, again = list(batches), list(batches)
        assert_equal(first, again)
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
        return plain(example)

    return preprocess


def test_evaluation_leaves_out_names_and_counts_corrupt_examples(caplog):
    # One of a batch, a whole batch, and the last before padding.
    batches = list(EvalLoader(source(10), _reject(0, 4, 5, 6, 7, 9), 4).batches())
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
    whole = list(EvalLoader(source(10), _reject(3, 6), 4).batches())
    parts = [
        list(EvalLoader(source(10), _reject(3, 6), 4, index, 2).batches())
        for index in range(2)
    ]
    assert_equal(joined(*parts), whole)


def test_evaluation_without_any_good_example_says_so():
    batches = EvalLoader(source(3), _reject(0, 1, 2), 4).batches()
    with pytest.raises(ValueError, match="All 3 examples to evaluate on are corrupt"):
        list(batches)


def test_siblings_stand_side_by_side():
    def both_ways(example, rng):
        return [{"x": example["x"], "sign": sign} for sign in (1, -1)]

    loader = TrainLoader(source(8), both_ways, 4, 0, siblings=2)
    assert loader.num_examples == 16
    batches = first(loader.batches(), 4)
    for batch in batches:
        np.testing.assert_array_equal(batch["sign"], [1, -1, 1, -1])
        np.testing.assert_array_equal(batch["x"][0::2], batch["x"][1::2])
    seen = np.concatenate([batch["x"][0::2] for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(8))
    parts = [
        first(
            dataclasses.replace(loader, process_index=n, process_count=2).batches(), 4
        )
        for n in range(2)
    ]
    assert_equal(joined(*parts), batches)


def test_groups_of_examples_become_one():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    loader = TrainLoader(source(12), gather, 2, 0, group_size=3)
    assert loader.num_examples == 4
    epoch = np.concatenate([batch["x"] for batch in first(loader.batches(), 2)])
    assert epoch.shape == (4, 3)
    np.testing.assert_array_equal(np.sort(epoch, axis=None), np.arange(12))
    assert_equal(first(loader.batches(), 9)[5:], first(loader.batches(5), 4))


def test_a_mixture_gives_each_source_its_share():
    few, many = ArraySource(x=np.arange(3)), ArraySource(x=np.arange(100, 200))
    loader = TrainLoader(Mixture([few, many], [3, 1]), noisy, 8, 0)
    assert loader.num_examples == 103
    batches = first(loader.batches(), 40)
    drawn = np.concatenate([batch["x"] for batch in batches])
    assert np.mean(drawn < 100) == pytest.approx(3 / 4, abs=0.01)
    # Neither comes again before all of it was there.
    rare = drawn[drawn >= 100]
    assert len(np.unique(rare)) == len(rare) == 80
    assert_equal(batches[5:9], first(loader.batches(5), 4))


def test_groups_of_a_mixture_are_of_one_source():
    def gather(examples, rng):
        return {"x": np.stack([example["x"] for example in examples])}

    mixture = Mixture([source(6), ArraySource(x=np.arange(100, 106))], [1, 1])
    batches = TrainLoader(mixture, gather, 4, 0, group_size=3).batches()
    drawn = np.concatenate([batch["x"] for batch in first(batches, 5)])
    assert {tuple(row) for row in drawn < 100} == {(True,) * 3, (False,) * 3}


def test_impossible_sizes_are_rejected():
    for make in (
        lambda source, size, count: TrainLoader(
            source, noisy, size, 0, process_count=count
        ),
        lambda source, size, count: EvalLoader(
            source, plain, size, process_count=count
        ),
    ):
        with pytest.raises(ValueError, match="10 is not divisible by 4: processes"):
            make(source(8), 10, 4).batches()
        with pytest.raises(ValueError, match="source holds no examples"):
            make(source(0), 4, 1).batches()
    empty = Mixture([source(8), source(0)], [1, 1])
    with pytest.raises(ValueError, match="source holds no examples"):
        TrainLoader(empty, noisy, 4, 0).batches()


# What a batch is made of.
