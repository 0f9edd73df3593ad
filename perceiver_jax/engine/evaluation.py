"""Evaluation: every example once, the same numbers for any batch or device count."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import numpy as np

from perceiver_jax.engine import metrics, sharding
from perceiver_jax.engine.task import Task

MAX_SHOWN = 8  # examples that are handed to Task.pictures and Task.texts


class Variables(NamedTuple):
    """What evaluation needs of a state."""

    params: hk.Params
    model_state: hk.State


class Results(NamedTuple):
    """What an evaluation found.

    Attributes:
      metrics: "set/name" -> number.
      predictions: set -> {name: [examples, ...]} as the task's `predictions` gave them.
    """

    metrics: dict[str, float]
    predictions: dict[str, dict[str, np.ndarray]]


class Samples(NamedTuple):
    """What people look at: "set/name" -> picture [h, w, 3] uint8, and -> Markdown."""

    pictures: dict[str, np.ndarray]
    texts: dict[str, str]


def make_evaluate(
    task: Task,
    forward: hk.TransformedWithState,
    parallel: sharding.OverMesh | sharding.OverPmap,
) -> Callable[[Variables], Results]:
    """Returns a function that runs all evaluation sets; compiled once."""

    def step(variables, batch, axis_name):
        outputs, _ = forward.apply(*variables, None, batch, False)
        sums = metrics.sums(task.metrics(outputs, batch))
        predictions = {"mask": batch["mask"]}
        if task.predictions is not None:
            predictions |= task.predictions(outputs, batch)
        return sharding.psum(sums, axis_name), sharding.all_gather(
            predictions, axis_name
        )

    compiled = parallel.compile_eval(step)

    def evaluate(variables: Variables) -> Results:
        numbers: dict[str, float] = {}
        predictions = {}
        for name, batches in task.eval_data.items():
            mean, collected = metrics.Mean(), []
            for batch in batches():
                sums, predicted = jax.device_get(
                    compiled(variables, parallel.place_batch(batch))
                )
                mean.add(sums)
                mask = predicted.pop("mask")
                collected.append(_valid_rows(predicted, mask))
            found = {
                key: np.concatenate([part[key] for part in collected])
                for key in collected[0]
            }
            result = mean.result()
            if task.summary is not None:
                result |= task.summary(found)
            numbers |= {f"{name}/{key}": float(value) for key, value in result.items()}
            predictions[name] = found
        if task.combine is not None:
            numbers |= task.combine(numbers)
        return Results(numbers, predictions)

    return evaluate


def _valid_rows(rows: Any, mask: np.ndarray) -> Any:
    """Leaves out the padded rows of a pytree of arrays."""
    return jax.tree.map(lambda x: x[mask > 0], rows)


def make_samples(
    task: Task,
    forward: hk.TransformedWithState,
    parallel: sharding.OverMesh | sharding.OverPmap,
) -> Callable[[Variables], Samples]:
    """Returns a function that shows the first examples of each evaluation set."""

    def step(variables, batch, axis_name):
        outputs, _ = forward.apply(*variables, None, batch, False)
        outputs, batch = sharding.all_gather((outputs, batch), axis_name)
        return jax.tree.map(lambda x: x[:MAX_SHOWN], (outputs, batch))

    compiled = parallel.compile_eval(step)

    def samples(variables: Variables) -> Samples:
        shown = Samples({}, {})
        if task.pictures is None and task.texts is None:
            return shown
        for name, batches in task.eval_data.items():
            for batch in itertools.islice(batches(), 1):
                outputs, batch = jax.device_get(
                    compiled(variables, parallel.place_batch(batch))
                )
                outputs, batch = _valid_rows((outputs, batch), batch["mask"])
                if task.pictures is not None:
                    for key, picture in task.pictures(outputs, batch).items():
                        shown.pictures[f"{name}/{key}"] = picture
                if task.texts is not None:
                    for key, text in task.texts(outputs, batch).items():
                        shown.texts[f"{name}/{key}"] = text
        return shown

    return samples
