"""The contract between a task and the engine.

task.model        forward, shapes of an example, metrics: no data is needed
task.train        the data to train on
task.evaluations  what to evaluate on, set by set
task.score        all numbers to the one that the best checkpoint is largest in
task.identity     what inputs and outputs stand for
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from perceiver_jax.engine.metrics import Metrics

Batch = Mapping[str, Any]  # a tree of arrays, each with the batch as its first axis
Outputs = Any  # what a model returns: a tree of arrays


@dataclasses.dataclass(frozen=True)
class Model:
    """What is trained, as a config alone tells it: no data is needed for it.

    Attributes:
      forward: (batch, is_training) -> outputs, a Haiku function: adapters and model.
      example: shape and type of every array of a training example, without the batch
        axis: {name: jax.ShapeDtypeStruct}, or a tree of them.
      metrics: (outputs, batch) -> {name: (value, weight)}, arrays of equal shape,
        unreduced. Must hold `loss`, which is minimised.
    """

    forward: Callable[[Batch, bool], Outputs]
    example: Mapping[str, Any]
    metrics: Callable[[Outputs, Batch], Metrics]

    def batch(self, size: int) -> dict[str, Any]:
        """Returns the shapes of a batch of `size` examples, with its `mask`."""
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype),
            dict(self.example),
        )
        return {"mask": jax.ShapeDtypeStruct((size,), np.float32), **shapes}


class TrainData(Protocol):
    """Batches to train on. Order and randomness are functions of (seed, step)."""

    @property
    def num_examples(self) -> int:
        """How many examples an epoch has."""

    def batches(self, start_step: int, total_steps: int) -> Iterator[Batch]:
        """Yields this process's part of the batches, from `start_step` on.

        There is no end to them; total_steps is how long training will be, for data
        that changes on its way.
        """

    def names(self, start_step: int, total_steps: int) -> list[str]:
        """Returns what the examples of one global batch are: files, rows, documents.

        The batch is the first one of `batches(start_step, total_steps)` of all
        processes, and its examples are in its order.
        """


class Sound(NamedTuple):
    """Sound to listen to: samples [n] from -1 to 1, and how many are a second."""

    samples: np.ndarray
    rate: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One set to evaluate on.

    Attributes:
      batches: () -> batches with every example once, the last one padded; each holds
        `mask` [B], 0 where padded, and may hold `left_out` [B], 1 where an example
        could not be read.
      predictions: (outputs, batch) -> {name: [B, ...]}, gathered over the set without
        the padded rows.
      summary: gathered predictions -> {name: number}, for metrics that are no means.
      pictures: (outputs, batch) -> {name: [h, w, 3] uint8}, of the first batch.
      texts: (outputs, batch) -> {name: Markdown}, of the first batch.
      sounds: (outputs, batch) -> {name: Sound}, of the first batch.
    """

    batches: Callable[[], Iterable[Batch]]
    predictions: Callable[[Outputs, Batch], Mapping[str, Any]] | None = None
    summary: Callable[[Mapping[str, np.ndarray]], Mapping[str, float]] | None = None
    pictures: Callable[[Outputs, Batch], Mapping[str, np.ndarray]] | None = None
    texts: Callable[[Outputs, Batch], Mapping[str, str]] | None = None
    sounds: Callable[[Outputs, Batch], Mapping[str, Sound]] | None = None


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a model's inputs and outputs stand for; its checkpoints keep it.

    Attributes:
      vocabulary: the tokenizer's name, where inputs are tokens. Weights of another
        vocabulary are refused.
      class_names: of every output with classes, in the order of the classes; none for
        a score.
    """

    vocabulary: str = ""
    class_names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything the engine knows of what it trains.

    Attributes:
      name: kept in its checkpoints.
      model: what is trained.
      train: what to train on; not looked at where a model is only evaluated.
      evaluations: set name -> how to evaluate on that set. Its numbers have the set's
        name in front, as in "test/loss".
      score: numbers of all sets -> the number that the best checkpoint is largest in,
        told as "score".
      identity: what inputs and outputs stand for.
      protocol: how evaluation is done, told with its results.
    """

    name: str
    model: Model
    train: TrainData
    evaluations: Mapping[str, Evaluation]
    score: Callable[[Mapping[str, float]], float]
    identity: Identity = Identity()
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
