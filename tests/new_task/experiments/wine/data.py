"""The wines, some of them held out.

example -> {"measured": [M], "grower": []}
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import sklearn.datasets
from ml_collections import config_dict

from perceiver_jax.data import loader, sources
from perceiver_jax.engine import sharding

NAMES = ("first", "second", "third")  # of the growers


class Wines(NamedTuple):
    """All wines, and the mean and deviation of each measurement."""

    measured: np.ndarray  # [wines, M] float32, as the chemist had them
    grower: np.ndarray  # [wines] int32
    mean: np.ndarray
    deviation: np.ndarray


@functools.cache
def load() -> Wines:
    """Opens scikit-learn's wines, in one random order."""
    found = sklearn.datasets.load_wine()
    order = np.random.default_rng(0).permutation(len(found.target))
    measured = found.data[order].astype(np.float32)
    grower = found.target[order].astype(np.int32)
    return Wines(measured, grower, measured.mean(0), measured.std(0))


def standardize(measured: np.ndarray) -> np.ndarray:
    """Maps measurements [..., M] to mean 0 and deviation 1."""
    wines = load()
    return ((measured - wines.mean) / wines.deviation).astype(np.float32)


def split(data: config_dict.ConfigDict) -> tuple[sources.Source, sources.Source]:
    """Returns the wines to train on, and those held out."""
    wines, count = load(), data.num_held_out
    train, test = (
        sources.ArraySource(measured=wines.measured[part], grower=wines.grower[part])
        for part in (slice(count, None), slice(count))
    )
    return train, test


def read(example: dict[str, Any], _: np.random.Generator | None = None):
    """Maps an example of a source to arrays."""
    return {**example, "measured": standardize(example["measured"])}


def train_loader(
    config: config_dict.ConfigDict, train: sources.Source
) -> loader.TrainLoader:
    """Returns the batches to train on."""
    return loader.TrainLoader(
        train, read, config.batch_size, config.seed, **sharding.this_process()
    )


def eval_loader(
    config: config_dict.ConfigDict, test: sources.Source
) -> loader.EvalLoader:
    """Returns the batches to evaluate on."""
    return loader.EvalLoader(
        test, read, config.eval_batch_size, **sharding.this_process()
    )
