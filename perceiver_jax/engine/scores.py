"""Metrics that are no means over examples, of a whole set's predictions.

They are scikit-learn's and SciPy's, on the host.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

from perceiver_jax import extras

sklearn = extras.Library("sklearn", "metrics", extra="scores")


def _zero_if_constant(
    correlation: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Returns the correlation, 0 where labels or predictions are all the same."""

    def compute(labels: np.ndarray, predictions: np.ndarray) -> float:
        # It is 0 / 0 there. A model that says the same of every example knows nothing
        # of them, and NaN would hide that from averages and the best checkpoint.
        if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
            return 0.0
        # In float32, SciPy warns of scores that lie close together.
        return correlation(labels.astype(np.float64), predictions.astype(np.float64))

    return compute


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda x, y: sklearn.metrics.accuracy_score(x, y),
    "f1": lambda x, y: sklearn.metrics.f1_score(x, y, zero_division=0.0),
    "matthews": _zero_if_constant(lambda x, y: sklearn.metrics.matthews_corrcoef(x, y)),
    "pearson": _zero_if_constant(lambda x, y: scipy.stats.pearsonr(x, y).statistic),
    "spearman": _zero_if_constant(lambda x, y: scipy.stats.spearmanr(x, y).statistic),
}


def compute(
    names: Sequence[str], labels: np.ndarray, predictions: np.ndarray
) -> dict[str, float]:
    """Returns the metrics of these names.

    Args:
      names: of "accuracy", "f1" (of class 1), "matthews", "pearson", "spearman".
      labels: [n] class ids or scores.
      predictions: [n], of the same kind.
    """
    return {name: float(_METRICS[name](labels, predictions)) for name in names}


def average_precisions(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Returns the average precision of each class, NaN where no example has it.

    Examples that are scored alike share a threshold, so a tie neither helps nor harms.

    Args:
      labels: [n, classes], true where an example has a class.
      predictions: [n, classes], the larger the likelier; what is not a number is the
        least likely.

    Returns:
      [classes] float64. Their mean without NaN is the mAP.

    Raises:
      ValueError: the shapes differ. Scores passed as [classes, n] would give a number.
    """
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels {labels.shape} and predictions {predictions.shape} must both be "
            "[examples, classes]."
        )
    lowest = np.finfo(np.float64).min
    scores = np.nan_to_num(predictions.astype(np.float64), nan=lowest)
    return np.array(
        [
            sklearn.metrics.average_precision_score(truth, score)
            if truth.any()
            else np.nan
            for truth, score in zip(labels.T.astype(bool), scores.T)
        ]
    )
