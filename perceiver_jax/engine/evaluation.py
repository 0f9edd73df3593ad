"""Evaluation: every example once, the same numbers for any batch or device count."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.engine import metrics, sharding
from perceiver_jax.engine.task import Batch, Sound, Task

MAX_SHOWN = 8  # examples that are handed to an Evaluation's pictures, texts and sounds


class Variables(NamedTuple):
    """What evaluation needs of a state."""

    params: hk.Params
    model_state: hk.State


class Results(NamedTuple):
    """What an evaluation found.

    Attributes:
      metrics: "set/name" -> number; "set/left_out" where examples could not be read,
        and last the task's "score".
      predictions: set -> {name: [examples, ...]}, as its `predictions` gave them.
    """

    metrics: dict[str, float]
    predictions: dict[str, dict[str, np.ndarray]]


class Samples(NamedTuple):
    """What people look at and listen to, each by "set/name".

    Attributes:
      pictures: [h, w, 3] uint8.
      texts: Markdown.
      sounds: of any rate.
    """

    pictures: dict[str, np.ndarray]
    texts: dict[str, str]
    sounds: dict[str, Sound]


class Evaluator:
    """Evaluates a task's model.

    Sets whose predictions are of one function share a program, compiled once for each
    shape of batch.
    """

    def __init__(
        self,
        task: Task,
        forward: hk.TransformedWithState,
        parallel: sharding.OverMesh | sharding.OverPmap,
        progress: Callable[[], None] = lambda: None,
    ):
        """Compiles nothing yet.

        Args:
          task: whose sets are evaluated.
          forward: its model, of forward.make_forward.
          parallel: where arrays live.
          progress: called with every batch.
        """
        self._task = task
        self._progress = progress
        self._parallel = parallel
        gathered = {e.predictions for e in task.evaluations.values()}
        programs = {
            function: parallel.compile_eval(
                _Measure(forward, task.model.metrics, function)
            )
            for function in gathered
        }
        self._measure = {
            name: programs[evaluation.predictions]
            for name, evaluation in task.evaluations.items()
        }
        self._show = parallel.compile_eval(_Show(forward))

    def __call__(self, variables: Variables) -> Results:
        """Evaluates on all sets."""
        numbers: dict[str, float] = {}
        predictions = {}
        for name, evaluation in self._task.evaluations.items():
            result, found = self._run(name, variables)
            if evaluation.summary is not None:
                result |= evaluation.summary(found)
            numbers |= {f"{name}/{key}": float(value) for key, value in result.items()}
            predictions[name] = found
        numbers["score"] = float(self._task.score(numbers))
        return Results(numbers, predictions)

    def predictions(self, name: str, variables: Variables) -> dict[str, np.ndarray]:
        """Returns the gathered predictions of one set, whose labels may be unknown."""
        return self._run(name, variables)[1]

    def samples(self, variables: Variables) -> Samples:
        """Shows the first examples of each set."""
        shown = Samples({}, {}, {})
        for name, evaluation in self._task.evaluations.items():
            makers: tuple[Callable[..., Mapping[str, Any]] | None, ...]
            makers = (evaluation.pictures, evaluation.texts, evaluation.sounds)
            if not any(makers):
                continue
            batch = next(iter(evaluation.batches()))
            outputs, batch = self._run_on(self._show, variables, batch)
            outputs, batch = _valid_rows((outputs, batch), batch["mask"])
            for make, found in zip(makers, shown):
                if make is not None:
                    for key, value in make(outputs, batch).items():
                        found[f"{name}/{key}"] = value
        return shown

    def _run(
        self, name: str, variables: Variables
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Returns one set's means, and its predictions."""
        mean, collected, left_out = metrics.Mean(), [], 0.0
        for batch in self._task.evaluations[name].batches():
            self._progress()
            sums, rows, missing = self._run_on(self._measure[name], variables, batch)
            mean.add(sums)
            left_out += float(missing)
            collected.append(_valid_rows(rows, rows.pop("mask")))
        found = {
            key: np.concatenate([part[key] for part in collected])
            for key in collected[0]
        }
        result = mean.result()
        return result | ({"left_out": left_out} if left_out else {}), found

    def _run_on(self, program: Callable, variables: Variables, batch: Batch) -> Any:
        return jax.device_get(program(variables, self._parallel.place_batch(batch)))


@dataclasses.dataclass(frozen=True)
class _Measure:
    """The program that evaluates: (variables, batch) -> sums, rows, left out."""

    forward: hk.TransformedWithState
    metrics: Callable
    predictions: Callable | None

    def __call__(self, variables: Variables, batch: Batch, axis_name: str | None):
        outputs, _ = self.forward.apply(*variables, None, batch, False)
        sums = metrics.sums(self.metrics(outputs, batch))
        rows = {"mask": batch["mask"]}
        if self.predictions is not None:
            rows |= self.predictions(outputs, batch)
        missing = jnp.sum(batch.get("left_out", 0.0))
        return (
            sharding.psum(sums, axis_name),
            sharding.all_gather(rows, axis_name),
            sharding.psum(missing, axis_name),
        )


@dataclasses.dataclass(frozen=True)
class _Show:
    """The program for people to look at: (variables, batch) -> first rows of both."""

    forward: hk.TransformedWithState

    def __call__(self, variables: Variables, batch: Batch, axis_name: str | None):
        outputs, _ = self.forward.apply(*variables, None, batch, False)
        outputs, batch = sharding.all_gather((outputs, batch), axis_name)
        return jax.tree.map(lambda x: x[:MAX_SHOWN], (outputs, batch))


def _valid_rows(rows: Any, mask: np.ndarray) -> Any:
    """Leaves out the padded rows of a tree of arrays."""
    return jax.tree.map(lambda x: x[mask > 0], rows)
