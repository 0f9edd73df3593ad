"""Batches on the host, made by Grain.

The order and the randomness of training are functions of (seed, step): every
example is reached by its index, so nothing has to be saved or replayed to go on
from any step, and every number of processes sees the same global batches.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grain
import numpy as np

from perceiver_jax.data.sources import CorruptExample, Example, Source, read
from perceiver_jax.data.workers import end_with_parent

logger = logging.getLogger(__name__)

Batch = dict[str, np.ndarray]

# Each thread makes a whole batch, so this bounds host memory too. Where so many threads
# are too slow, because Python runs one at a time outside image code, use workers.
_MAX_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Several sources to train on, each giving its share of the examples.

    Attributes:
      sources: each is shuffled and repeated by itself.
      weights: of each source, in any unit.
    """

    sources: Sequence[Source]
    weights: Sequence[float]

    def __len__(self) -> int:
        """The number of examples in all sources."""
        return sum(map(len, self.sources))


@dataclasses.dataclass(frozen=True, eq=False)
class TrainLoader:
    """Endless shuffled batches; each epoch in a new order.

    The batches of all processes, one after the other, are the global batch, which is
    the same for any number of processes.

    Host memory: without workers, up to eight local batches are made ahead, each by one
    thread. A worker is one more process, with up to three local batches of its own.

    Attributes:
      source: where examples come from; may be smaller than a batch.
      preprocess: an example to arrays of fixed shape.
      batch_size: the global batch size.
      seed: of the order, of `preprocess` and of `finish`.
      group_size: where not 0, `preprocess` makes one example of a list of so many,
        drawn from one source, such as one text of ten documents.
      siblings: where not 1, `preprocess` makes a list of so many examples of one, such
        as a pair forward and reversed. They stand side by side in the batch.
      finish: changes a whole local batch, such as by mixing its examples.
      process_index: which process this is.
      process_count: how many processes share the global batch.
      num_workers: worker processes. Their program must run under `absl.app.run`,
        and `source`, `preprocess` and `finish` are pickled to them.
    """

    source: Source | Mixture
    preprocess: Callable[[Any, np.random.Generator], Any]
    batch_size: int
    seed: int
    group_size: int = 0
    siblings: int = 1
    finish: Callable[[Batch, np.random.Generator], Batch] | None = None
    process_index: int = 0
    process_count: int = 1
    num_workers: int = 0

    @property
    def num_examples(self) -> int:
        """How many examples an epoch has."""
        return max(1, len(self.source) * self.siblings // max(1, self.group_size))

    def batches(self, start_step: int = 0, total_steps: int = 0) -> Iterator[Batch]:
        """Yields arrays stacked along a new leading axis, and their `mask`.

        Args:
          start_step: the step of the first batch.
          total_steps: not used: batches are the same however long training is.

        Yields:
          Arrays of `batch_size / process_count` examples, and `mask` [B] float32 of
          ones where `preprocess` gives none.

        Raises:
          ValueError: a source is empty, or `batch_size` is not divisible.
        """
        del total_steps
        parts = self.process_count * self.siblings
        local_size = _share(self.source, self.batch_size, parts)
        batches = (
            self._drawn([_Read(source) for source in _parts(self.source)])
            .random_map(self.preprocess)
            .batch(
                local_size,
                drop_remainder=True,
                batch_fn=None if self.siblings == 1 else _stack_siblings,
            )
            .map(_with_mask)
        )
        if self.finish is not None:
            batches = batches.random_map(self.finish)
        # Random maps come before slices: their generator depends on the index alone.
        batches = batches[self.process_index :: self.process_count][start_step:]
        if self.num_workers == 0:
            return iter(batches.to_iter_dataset(_read_ahead()))
        one_at_a_time = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
        workers = grain.MultiprocessingOptions(
            self.num_workers, per_worker_buffer_size=1
        )
        batches = batches.to_iter_dataset(one_at_a_time)
        return iter(batches.mp_prefetch(workers, end_with_parent))

    def names(self, start_step: int = 0, total_steps: int = 0) -> list[str]:
        """Returns what each example of one global batch is made of, in its order.

        An example that `finish` mixes with another has its own name. The examples are
        read for it.

        Args:
          start_step: the batch is the first one of `batches(start_step)`.
          total_steps: not used, see `batches`.
        """
        del total_steps
        count = self.batch_size // self.siblings
        drawn = self._drawn([_Names(source) for source in _parts(self.source)])
        found = [drawn[start_step * count + place] for place in range(count)]
        if self.group_size:
            found = [", ".join(group) for group in found]
        if self.siblings == 1:
            return found
        numbers = range(1, self.siblings + 1)
        return [f"{name}, {n} of {self.siblings}" for name in found for n in numbers]

    def _drawn(self, sources: Sequence[Any]) -> grain.MapDataset:
        """Endless examples of `sources`, each in the place of one of `self.source`."""
        shuffled = [self._shuffled(source) for source in sources]
        if not isinstance(self.source, Mixture):
            return shuffled[0]
        return grain.MapDataset.mix(shuffled, self.source.weights).seed(self.seed)

    def _shuffled(self, source: Source) -> grain.MapDataset:
        """Endless examples, or groups of them."""
        examples = grain.MapDataset.source(source).seed(self.seed).shuffle().repeat()
        if not self.group_size:
            return examples
        # Nothing is left to drop, but rounding up overflows: the length is maxsize.
        return examples.batch(self.group_size, drop_remainder=True, batch_fn=list)


@dataclasses.dataclass(frozen=True)
class _Read:
    """A source that waits for what passes, see sources.read."""

    source: Source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return read(self.source, index)


@dataclasses.dataclass(frozen=True)
class _Names:
    """The names of the examples of a source: what it gives in the end at each index."""

    source: Source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> str:
        name = read(self.source, index).get("name", index)
        return str(name) if isinstance(name, str) else f"example {name}"


@dataclasses.dataclass(frozen=True, eq=False)
class EvalLoader:
    """Every example exactly once, in order, over all processes.

    All processes see the same number of batches of the same shapes: what is missing
    from the last global batch is filled with rows of zeros, whose `mask` is 0. So is
    an example that is corrupt, which is named in the log and counted in `left_out`.

    Attributes:
      source: where examples come from.
      preprocess: an example to arrays of fixed shape; raises CorruptExample.
      batch_size: the global batch size.
      process_index: which process this is.
      process_count: how many processes share the global batch.
      blank: arrays to fill batches with where all examples are corrupt; without it
        that is an error.
    """

    source: Source
    preprocess: Callable[[Example], Example]
    batch_size: int
    process_index: int = 0
    process_count: int = 1
    blank: Example | None = None

    def batches(self) -> Iterable[Batch]:
        """Returns an iterable of batches that starts anew each time.

        A batch has the arrays of `preprocess` and `mask` and `left_out`, [B] float32.

        Raises:
          ValueError: the source is empty, or `batch_size` is not divisible.
        """
        _share(self.source, self.batch_size, self.process_count)
        steps = grain.MapDataset.range(-(-len(self.source) // self.batch_size))
        return steps.map(self._batch).to_iter_dataset(_read_ahead())

    def _batch(self, step: int) -> Batch:
        local_size = self.batch_size // self.process_count
        start = step * self.batch_size + self.process_index * local_size
        end = min(start + local_size, len(self.source))
        rows: list[Example | None] = [self._read(index) for index in range(start, end)]
        good = [row is not None for row in rows]
        left_out = np.zeros(local_size, np.float32)
        left_out[: len(rows)] = np.logical_not(good)
        mask = np.zeros(local_size, np.float32)
        mask[: len(rows)] = good
        # An example that is masked out lends its shapes to a batch without any.
        like = next((row for row in rows if row is not None), None) or self._any()
        batch = {"mask": mask, "left_out": left_out}
        for name, value in like.items():
            array = np.zeros((local_size, *np.shape(value)), np.asarray(value).dtype)
            for place, row in enumerate(rows):
                if row is not None:
                    array[place] = row[name]
            batch[name] = array
        return batch

    def _read(self, index: int) -> Example | None:
        try:
            return self.preprocess(read(self.source, index))
        except CorruptExample as error:
            logger.warning("left out of evaluation, as it is corrupt: %s", error)
            return None

    def _any(self) -> Example:
        for index in range(len(self.source)):
            try:
                return self.preprocess(read(self.source, index))
            except CorruptExample:
                continue
        if self.blank is not None:
            return self.blank
        raise ValueError(
            f"All {len(self.source)} examples to evaluate on are corrupt: see the "
            "warnings above."
        )


def _parts(source: Source | Mixture) -> Sequence[Source]:
    return source.sources if isinstance(source, Mixture) else [source]


def _share(source: Source | Mixture, batch_size: int, parts: int) -> int:
    """Returns how many draws of a source one process makes for a global batch."""
    if min(map(len, _parts(source))) == 0:
        raise ValueError("the source holds no examples")
    if batch_size < 1 or batch_size % parts:
        raise ValueError(
            f"batch size {batch_size} is not divisible by {parts}: processes, times "
            "the examples that are made of each"
        )
    return batch_size // parts


def _read_ahead() -> grain.ReadOptions:
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)


def _with_mask(batch: Batch) -> Batch:
    size = len(next(iter(batch.values())))
    return {"mask": np.ones(size, np.float32), **batch}


def _stack_siblings(groups: Sequence[Sequence[Example]]) -> Batch:
    examples = [example for group in groups for example in group]
    return {name: np.stack([e[name] for e in examples]) for name in examples[0]}
