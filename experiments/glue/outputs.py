"""What is made of a text classifier's logits {task: [B, classes]}: numbers."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.data.text import glue
from perceiver_jax.engine import losses, metrics, scores
from perceiver_jax.engine.task import Batch

Logits = Mapping[str, jax.Array]
KEPT = ("label", "index", "task")  # of a batch, beside what is predicted


@dataclasses.dataclass(frozen=True, eq=False)
class Metrics:
    """The loss of each example, and each task's own where there are several.

    It is cross-entropy for classes and the squared error for scores.

    Attributes:
      num_classes: of every task, in the order of task numbers; 0: a score.
    """

    num_classes: Mapping[str, int]

    def __call__(self, logits: Logits, batch: Batch) -> metrics.Metrics:
        """Maps logits and a batch to [B] each."""
        found = {}
        total = jnp.zeros_like(batch["mask"])
        for number, task in enumerate(self.num_classes):
            asked = batch["mask"] * (batch["task"] == number)
            loss = jnp.where(asked > 0, self._loss(task, logits[task], batch), 0.0)
            total += loss
            if len(self.num_classes) > 1:
                found[f"loss_{task}"] = (loss, asked)
        return {"loss": (total, batch["mask"]), **found}

    def _loss(self, task: str, logits: jax.Array, batch: Batch) -> jax.Array:
        """One task's loss of every example, [B]; means nothing for those of others."""
        count, label = self.num_classes[task], batch["label"]
        if not count:
            return jnp.square(logits[:, 0].astype(jnp.float32) - label)
        label = jnp.clip(label.astype(jnp.int32), 0, count - 1)
        return losses.token_cross_entropy(logits, label)


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What each example is said to be, by the task that it is of.

    Attributes:
      num_classes: of every task, in the order of task numbers; 0: a score.
    """

    num_classes: Mapping[str, int]

    def __call__(self, logits: Logits, batch: Batch) -> dict[str, jax.Array]:
        """Returns `predicted`, `confidence` and KEPT, [B] each.

        `predicted` is a class or a score; `confidence` a class's probability, or 1.
        """
        answers = [self._answer(task, logits[task]) for task in self.num_classes]
        predicted, confidence = zip(*answers)
        return {
            "predicted": _of_its_task(predicted, batch["task"]),
            "confidence": _of_its_task(confidence, batch["task"]),
            **{name: batch[name] for name in KEPT},
        }

    def _answer(self, task: str, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns what a task predicts of every example, and how surely: [B] each."""
        logits = logits.astype(jnp.float32)
        if not self.num_classes[task]:
            return logits[:, 0], jnp.ones_like(logits[:, 0])
        predicted = logits.argmax(-1).astype(jnp.float32)
        return predicted, jax.nn.softmax(logits).max(-1)


def _of_its_task(of_tasks: Sequence[jax.Array], task: jax.Array) -> jax.Array:
    """Returns [B]: of each example, the number of the task that it is of."""
    return jnp.take_along_axis(jnp.stack(of_tasks, -1), task[:, None], axis=-1)[:, 0]


@dataclasses.dataclass(frozen=True)
class Summary:
    """A task's own metrics of an evaluation set, names of scores.compute."""

    metrics: Sequence[str]

    def __call__(self, found: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Maps gathered predictions to numbers."""
        return scores.compute(self.metrics, found["label"], found["predicted"])


@dataclasses.dataclass(frozen=True)
class Average:
    """The average over tasks as the paper takes it, 0 to 100.

    Attributes:
      main: of every task, the names of the numbers that count: one for each of its
        evaluation sets.
    """

    main: Mapping[str, Sequence[str]]

    def __call__(self, numbers: Mapping[str, float]) -> float:
        """Maps the numbers of all sets to it."""
        return glue.average(
            {
                task: [numbers[name] for name in names]
                for task, names in self.main.items()
            }
        )
