"""Batches: order, restart, processes, padding."""

import itertools

import numpy as np
import pytest
from absl import flags

from perceiver_jax.data.loader import eval_batches, train_batches
from perceiver_jax.data.sources import ArraySource, CorruptExample


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


def test_every_epoch_has_every_example_in_a_new_order():
    batches = _first(train_batches(_source(12), _noisy, 4, seed=0), 9)
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
        _first(train_batches(_source(12), _noisy, 4, seed=seed, finish=_scale), 4)
        for seed in [5, 5, 6]
    )
    _assert_equal(one, same)
    for name in ["x", "noise", "scale"]:
        assert (one[0][name] != other[0][name]).any()


@pytest.mark.parametrize("size", [3, 10, 100])  # below, around and far above a batch
def test_starting_at_a_step_continues_exactly(size):
    settings = {"seed": 1, "finish": _scale, "process_index": 1, "process_count": 2}
    batches = _first(train_batches(_source(size), _noisy, 8, **settings), 9)
    later = train_batches(_source(size), _noisy, 8, start_step=5, **settings)
    _assert_equal(batches[5:], _first(later, 4))


@pytest.mark.parametrize("process_count", [2, 3, 6])
def test_processes_together_see_the_global_batches(process_count):
    whole = _first(train_batches(_source(20), _noisy, 6, seed=3), 7)
    parts = [
        _first(
            train_batches(
                _source(20),
                _noisy,
                6,
                seed=3,
                process_index=index,
                process_count=process_count,
            ),
            7,
        )
        for index in range(process_count)
    ]
    joined = [
        {name: np.concatenate([batch[name] for batch in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]
    _assert_equal(joined, whole)


def test_finish_draws_differently_in_each_process_and_step():
    scales = [
        batch["scale"]
        for index in range(2)
        for batch in _first(
            train_batches(
                _source(20),
                _noisy,
                4,
                seed=3,
                finish=_scale,
                process_index=index,
                process_count=2,
            ),
            5,
        )
    ]
    assert len(np.unique(scales)) == 20


def test_worker_processes_change_nothing():
    flags.FLAGS.mark_as_parsed()  # as absl.app.run does in a program
    settings = {"seed": 2, "start_step": 3, "finish": _scale}
    expected = _first(train_batches(_source(10), _noisy, 4, **settings), 5)
    batches = train_batches(_source(10), _noisy, 4, num_workers=1, **settings)
    _assert_equal(_first(batches, 5), expected)
    batches.close()


def test_a_mask_of_the_task_is_kept():
    def half_valid(example, rng):
        return {"x": example["x"], "mask": np.float32(example["x"] % 2)}

    batch = next(train_batches(_source(8), half_valid, 8, seed=0))
    np.testing.assert_array_equal(batch["mask"], batch["x"] % 2)


@pytest.mark.parametrize("size", [1, 5, 8, 17])
@pytest.mark.parametrize("batch_size, process_count", [(4, 1), (4, 2), (8, 4), (6, 6)])
def test_evaluation_sees_every_example_once(size, batch_size, process_count):
    counts = set()
    seen = []
    for index in range(process_count):
        batches = eval_batches(
            _source(size),
            _plain,
            batch_size,
            process_index=index,
            process_count=process_count,
        )
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


def test_evaluation_stops_at_a_corrupt_example():
    def reject_five(example):
        if example["x"] == 5:
            raise CorruptExample("cat/five.jpg: truncated")
        return _plain(example)

    with pytest.raises(CorruptExample, match="cat/five.jpg"):
        list(eval_batches(_source(8), reject_five, 4))


def test_impossible_sizes_are_rejected_at_once():
    for make in [
        lambda source, size, count: train_batches(
            source, _noisy, size, seed=0, process_count=count
        ),
        lambda source, size, count: eval_batches(
            source, _plain, size, process_count=count
        ),
    ]:
        with pytest.raises(ValueError, match="10 is not divisible by 4 processes"):
            make(_source(8), 10, 4)
        with pytest.raises(ValueError, match="source holds no examples"):
            make(_source(0), 4, 1)
