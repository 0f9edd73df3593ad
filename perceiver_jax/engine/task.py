"""The contract between a task and the engine."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from perceiver_jax.engine.metrics import Metrics

Batch = Mapping[str, Any]  # arrays, each with the batch as its first axis
Outputs = Any  # what a task's forward returns: a pytree of arrays


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything the engine knows of what it trains.

    Attributes:
      name: the task's name, kept in its checkpoints.
      num_train_examples: () -> size of one epoch; may open the training data, which
        evaluation does not need.
      train_data: start_step -> endless host batches from that step on. Order and
        randomness are functions of (seed, step, process).
      eval_data: set name -> function that returns batches with every example once, the
        last one padded; each batch holds `mask` [B], 0 where padded.
      forward: (batch, is_training) -> outputs, a Haiku function: adapters and model.
      metrics: (outputs, batch) -> {name: (value, weight)}, arrays of equal shape,
        unreduced. Must hold `loss`. Sets are named in front, as in "test/loss".
      predictions: (outputs, batch) -> {name: [B, ...]}, gathered over an evaluation set
        for `summary`, without the padded rows.
      summary: gathered predictions -> {name: number}, for metrics that are not means.
      combine: metrics of all sets, "set/name" -> number, -> more of them, such as a
        benchmark's average.
      pictures: (outputs, batch) -> {name: [h, w, 3] uint8}, of an evaluation batch.
      texts: (outputs, batch) -> {name: Markdown}, of an evaluation batch.
      best_metric: the evaluation metric that the best checkpoint is largest in, such
        as "test/top1".
      vocabulary: what tokens stand for, where inputs are tokens: the tokenizer's name.
        Weights of another vocabulary are refused.
      protocol: how evaluation is done, told with its results.
      class_names: of every output with classes, kept in checkpoints for predictions.
    """

    name: str
    num_train_examples: Callable[[], int]
    train_data: Callable[[int], Iterator[Batch]]
    eval_data: Mapping[str, Callable[[], Iterable[Batch]]]
    forward: Callable[[Batch, bool], Outputs]
    metrics: Callable[[Outputs, Batch], Metrics]
    predictions: Callable[[Outputs, Batch], Mapping[str, Any]] | None = None
    summary: Callable[[Mapping[str, np.ndarray]], Mapping[str, float]] | None = None
    combine: Callable[[Mapping[str, float]], Mapping[str, float]] | None = None
    pictures: Callable[[Outputs, Batch], Mapping[str, np.ndarray]] | None = None
    texts: Callable[[Outputs, Batch], Mapping[str, str]] | None = None
    best_metric: str | None = None
    vocabulary: str = ""
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
