"""What is made of a clip classifier's logits: the loss, and mAP of averaged clips."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from perceiver_jax.engine import losses, metrics, scores
from perceiver_jax.engine.task import Batch

_ROWS = 4096  # clips at a time, to save memory


def measure(logits: jax.Array, batch: Batch) -> metrics.Metrics:
    """Maps logits [B, classes] and a batch to the loss of each clip.

    It is the sum of all classes' cross-entropies: each is there or not.
    """
    return {
        "loss": (losses.sigmoid_cross_entropy(logits, batch["labels"]), batch["mask"])
    }


def predictions(logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Returns logits [B, classes], labels, and the number of each clip's file [B]."""
    return {
        "logits": logits.astype(jnp.float32),
        "labels": batch["labels"] > 0,
        "file": batch["file"],
    }


class Averaged(NamedTuple):
    """What is said of whole files.

    Attributes:
      labels: [files, classes] bool.
      probabilities: [files, classes], the mean over a file's clips.
      file: [files], their numbers.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    file: np.ndarray


def average(found: Mapping[str, np.ndarray]) -> Averaged:
    """Averages the gathered predictions of the clips of each file."""
    numbers, first, place, count = np.unique(
        found["file"], return_index=True, return_inverse=True, return_counts=True
    )
    total = np.zeros((len(numbers), found["logits"].shape[1]))
    for start in range(0, len(place), _ROWS):
        rows = slice(start, start + _ROWS)
        # In float64, where no two sure answers are rounded to the same 1.
        probabilities = scipy.special.expit(found["logits"][rows].astype(np.float64))
        np.add.at(total, place[rows], probabilities)
    return Averaged(found["labels"][first], total / count[:, None], numbers)


def summary(found: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Maps gathered predictions to mAP over classes, and what it is of.

    A class that no file has counts in no mean; how many these are is told where there
    are some.
    """
    averaged = average(found)
    precisions = scores.average_precisions(averaged.labels, averaged.probabilities)
    known = ~np.isnan(precisions)
    told = {"mAP": float(precisions[known].mean()) if known.any() else 0.0}
    told["files"] = float(len(averaged.file))
    if not known.all():
        told["classes_without_files"] = float((~known).sum())
    return told
