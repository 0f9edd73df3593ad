"""Small sources, what is made of their examples, and batches compared."""

import itertools

import numpy as np

from perceiver_jax.data.sources import ArraySource


def source(size):
    return ArraySource(x=np.arange(size))


def noisy(example, rng):
    return {"x": np.int64(example["x"]), "noise": rng.random(2)}


def plain(example):
    return {"x": np.int64(example["x"]), "row": np.full(3, example["x"] + 1.0)}


def scale(batch, rng):
    return {**batch, "scale": rng.random(len(batch["x"]))}


def first(batches, count):
    return list(itertools.islice(batches, count))


def assert_equal(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def joined(*parts):
    """The batches of all processes as global ones."""
    return [
        {name: np.concatenate([batch[name] for batch in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]
