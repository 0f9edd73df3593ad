"""The curriculum of optical flow: phases of training, each with its own pairs.

Arrays of a batch are those of data.py, without "occluded".
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import config_dict

from experiments.optical_flow.data import load, to_arrays
from perceiver_jax.data import loader
from perceiver_jax.data.flow import augmentation, pair_files, pairs
from perceiver_jax.data.sources import Example, SkipCorrupt, Source
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch


class Phase(NamedTuple):
    """A part of training: a row of data.phases.

    Attributes:
      until: share of all steps at which it ends.
      strength: of augmentation; at 0, parts are only cut out.
      both_ways: every pair comes forward and reversed, in the same batch.
      weights: of the datasets of data.train.
    """

    until: float
    strength: float
    both_ways: bool
    weights: tuple[float, ...]


def load_phases(data: config_dict.ConfigDict) -> list[Phase]:
    """Returns the rows of data.phases.

    Raises:
      ValueError: they are no curriculum.
    """
    phases = [_phase(row, len(data.train)) for row in data.phases]
    ends = [phase.until for phase in phases]
    if ends != sorted(set(ends)) or not ends or ends[0] <= 0 or ends[-1] != 1:
        raise ValueError(
            f"data.phases end at {ends}: shares of training must rise, the last to 1."
        )
    return phases


def _phase(row: Any, num_datasets: int) -> Phase:
    try:
        until, strength, both_ways, weights = row
        phase = Phase(until, strength, both_ways, tuple(weights))
        fits = (
            isinstance(both_ways, bool)
            and len(phase.weights) == num_datasets
            and min(until, strength, *phase.weights) >= 0
            and sum(phase.weights) > 0
        )
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"data.phases has {row!r}: a row is (until, strength, both_ways, (weights "
            f"of the {num_datasets} in data.train,)), such as (1.0, 0.5, False, "
            f"{(1.0,) * num_datasets})."
        )
    return phase


def train_pairs(config: config_dict.ConfigDict) -> "TrainPairs":
    """Returns the pairs to train on, without looking for them yet.

    Raises:
      ValueError: data.phases are no curriculum, or do not go with the batch.
    """
    phases = load_phases(config.data)
    odd = config.batch_size % (2 * jax.process_count())
    if odd and any(phase.both_ways for phase in phases):
        raise ValueError(
            f"batch_size={config.batch_size} must be even in each process, as "
            "data.phases has pairs both ways."
        )
    tile = tuple(config.model.image_size)
    return TrainPairs(config.data, phases, tile, config.batch_size, config.seed)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainPairs:
    """Batches to train on, phase after phase.

    Datasets are opened when they are first asked for: a model is evaluated without.

    Attributes:
      data: the config's `data`.
      phases: of training.
      size: height and width of the parts of frames that are trained on.
      batch_size: the global batch size.
      seed: of order and augmentation.
    """

    data: config_dict.ConfigDict
    phases: Sequence[Phase]
    size: tuple[int, int]
    batch_size: int
    seed: int

    @functools.cached_property
    def datasets(self) -> Mapping[str, Source]:
        """Those of data.train, opened and their sizes checked.

        The next pair stands in the place of one whose files are damaged.
        """
        found = load(self.data, "train", self.size)
        for source in found.values():
            if isinstance(source, pair_files.PairFiles):
                source.check_sizes(self.size)
        limit = self.data.max_corrupt
        return {n: SkipCorrupt(source, dict, limit) for n, source in found.items()}

    @property
    def num_examples(self) -> int:
        """How many pairs all datasets have."""
        return sum(map(len, self.datasets.values()))

    def batches(self, start_step: int, total_steps: int) -> Iterator[Batch]:
        """Yields the batches from a step on; those of the last phase have no end.

        A phase's batches are those that it would have at these steps if it were alone.
        """
        for phase in self.phases[:-1]:
            end = round(phase.until * total_steps)
            if start_step < end:
                batches = self._loader(phase).batches(start_step)
                yield from itertools.islice(batches, end - start_step)
                start_step = end
        yield from self._loader(self.phases[-1]).batches(start_step)

    def names(self, start_step: int, total_steps: int) -> list[str]:
        """Returns the pairs of the batch at a step, see TrainData."""
        later = (p for p in self.phases if start_step < round(p.until * total_steps))
        return self._loader(next(later, self.phases[-1])).names(start_step)

    def _loader(self, phase: Phase) -> loader.TrainLoader:
        chosen = [(s, w) for s, w in zip(self.datasets.values(), phase.weights) if w]
        augment = Augment(self.size, phase.strength)
        return loader.TrainLoader(
            loader.Mixture(*map(list, zip(*chosen))),
            BothWays(augment) if phase.both_ways else augment,
            self.batch_size,
            self.seed,
            siblings=2 if phase.both_ways else 1,
            num_workers=self.data.num_workers,
            **sharding.this_process(),
        )


@dataclasses.dataclass(frozen=True)
class Augment:
    """Cuts a random part out of a pair and changes it, at a strength."""

    size: tuple[int, int]
    strength: float

    def __call__(self, pair: Example, rng: np.random.Generator) -> Example:
        """Maps a pair to arrays."""
        part = augmentation.augment(
            pairs.mask_damage(pair), rng, self.size, self.strength
        )
        return to_arrays(part)


@dataclasses.dataclass(frozen=True)
class BothWays:
    """Makes two examples of a pair: forward, and from its second frame to its first."""

    augment: Augment

    def __call__(self, pair: Example, rng: np.random.Generator) -> list[Example]:
        """Maps a pair to arrays, forward and reversed."""
        forward = self.augment(pair, rng)
        return [forward, pairs.reverse(forward)]
