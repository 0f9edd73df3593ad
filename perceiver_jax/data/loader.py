"""Batches on the host, made by Grain.

The order and the randomness of training are functions of (seed, step): every
example is reached by its index, so nothing has to be saved or replayed to go on
from any step, and every number of processes sees the same global batches.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grain
import numpy as np

from perceiver_jax.data.sources import Example, Source

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


def train_batches(
    source: Source | Mixture,
    preprocess: Callable[[Any, np.random.Generator], Example],
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
    group_size: int = 0,
    finish: Callable[[Batch, np.random.Generator], Batch] | None = None,
    process_index: int = 0,
    process_count: int = 1,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Endless shuffled batches; each epoch in a new order.

    The batches of all processes, one after the other, are the global batch, which is
    the same for any number of processes.

    Host memory: without workers, up to eight local batches are made ahead, each by one
    thread. A worker is one more process, with up to three local batches of its own.

    Args:
      source: where examples come from; may be smaller than a batch.
      preprocess: an example to arrays of fixed shape.
      batch_size: the global batch size.
      seed: of the order, of `preprocess` and of `finish`.
      start_step: the step of the first batch.
      group_size: where not 0, `preprocess` makes one example of a list of so many,
        drawn from one source, such as one text of ten documents.
      finish: changes a whole local batch, such as by mixing its examples.
      process_index: which process this is.
      process_count: how many processes share the global batch.
      num_workers: worker processes. Their program must run under `absl.app.run`,
        and `source`, `preprocess` and `finish` are pickled to them.

    Yields:
      Arrays stacked along a new leading dimension of `batch_size / process_count`,
      and `mask` [B] float32 of ones where `preprocess` gives none.

    Raises:
      ValueError: a source is empty, or `batch_size` is not divisible.
    """
    local_size = _local_batch_size(source, batch_size, process_count)
    if isinstance(source, Mixture):
        shuffled = [_shuffled(part, seed, group_size) for part in source.sources]
        examples = grain.MapDataset.mix(shuffled, source.weights).seed(seed)
    else:
        examples = _shuffled(source, seed, group_size)
    batches = (
        examples.random_map(preprocess)
        .batch(local_size, drop_remainder=True)
        .map(_with_mask)
    )
    if finish is not None:
        batches = batches.random_map(finish)
    # Random maps come before slices: their generator depends on the index alone.
    batches = batches[process_index::process_count][start_step:]
    if num_workers == 0:
        return iter(batches.to_iter_dataset(_read_ahead()))
    one_at_a_time = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    workers = grain.MultiprocessingOptions(num_workers, per_worker_buffer_size=1)
    return iter(batches.to_iter_dataset(one_at_a_time).mp_prefetch(workers))


def _shuffled(source: Source, seed: int, group_size: int) -> grain.MapDataset:
    """Endless examples, or groups of them."""
    examples = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
    if not group_size:
        return examples
    # Nothing is left to drop, but the rounding up overflows: length is maxsize.
    return examples.batch(group_size, drop_remainder=True, batch_fn=list)


def eval_batches(
    source: Source,
    preprocess: Callable[[Example], Example],
    batch_size: int,
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterable[Batch]:
    """Every example exactly once, in order, over all processes.

    All processes see the same number of batches of the same shapes: what is missing
    from the last global batch is filled with rows of zeros, whose `mask` is 0.

    Args:
      source: where examples come from.
      preprocess: an example to arrays of fixed shape.
      batch_size: the global batch size.
      process_index: which process this is.
      process_count: how many processes share the global batch.

    Returns:
      An iterable that starts anew each time. Batches are as in `train_batches`.

    Raises:
      ValueError: the source is empty, or `batch_size` is not divisible.
    """
    local_size = _local_batch_size(source, batch_size, process_count)

    def batch_of_step(step: int) -> Batch:
        start = step * batch_size + process_index * local_size
        indices = range(start, min(start + local_size, len(source)))
        # An example that is masked out lends its shapes to a batch without any.
        examples = [preprocess(source[index]) for index in indices or [0]]
        batch = _with_mask(
            {name: np.stack([e[name] for e in examples]) for name in examples[0]}
        )
        return {
            name: _fill(rows[: len(indices)], local_size)
            for name, rows in batch.items()
        }

    num_batches = -(-len(source) // batch_size)
    steps = grain.MapDataset.range(num_batches)
    return steps.map(batch_of_step).to_iter_dataset(_read_ahead())


def _local_batch_size(
    source: Source | Mixture, batch_size: int, process_count: int
) -> int:
    if min(map(len, source.sources if isinstance(source, Mixture) else [source])) == 0:
        raise ValueError("the source holds no examples")
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"batch size {batch_size} is not divisible by {process_count} processes"
        )
    return batch_size // process_count


def _read_ahead() -> grain.ReadOptions:
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)


def _with_mask(batch: Batch) -> Batch:
    size = len(next(iter(batch.values())))
    return {"mask": np.ones(size, np.float32), **batch}


def _fill(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate(
        [rows, np.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)]
    )
