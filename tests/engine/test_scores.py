"""Metrics of whole sets are scikit-learn's and SciPy's."""

import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from perceiver_jax.data.text.glue import TASKS
from perceiver_jax.engine import scores


def test_metrics_are_those_of_sklearn_and_scipy():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (2, 50))
    assert scores.compute(TASKS["cola"].metrics, labels, predictions) == {
        "matthews": sklearn.metrics.matthews_corrcoef(labels, predictions)
    }
    assert scores.compute(TASKS["qqp"].metrics, labels, predictions) == {
        "accuracy": np.mean(labels == predictions),
        "f1": sklearn.metrics.f1_score(labels, predictions),
    }
    for name in ("sst2", "mnli", "qnli", "rte"):
        found = scores.compute(TASKS[name].metrics, labels, predictions)
        assert found == {"accuracy": np.mean(labels == predictions)}
    truth, guesses = rng.normal(size=(2, 50))
    assert scores.compute(TASKS["stsb"].metrics, truth, guesses) == {
        "pearson": scipy.stats.pearsonr(truth, guesses).statistic,
        "spearman": scipy.stats.spearmanr(truth, guesses).statistic,
    }
    # Early in training scores lie close together: no warning, which would be an error.
    close = np.array([2.5, 2.500001, 2.500002], np.float32)
    with warnings.catch_warnings(action="error"):
        found = scores.compute(TASKS["stsb"].metrics, close, close)
    assert found["pearson"] == pytest.approx(1, abs=0.01)


def test_a_constant_prediction_has_no_correlation_and_warns_of_nothing():
    with warnings.catch_warnings(action="error"):
        for labels in ([0, 1, 1], [1, 1, 1]):
            ones, labels = np.ones(3, int), np.array(labels)
            found = scores.compute(TASKS["cola"].metrics, labels, ones)
            assert found == {"matthews": 0.0}
            found = scores.compute(
                TASKS["stsb"].metrics, labels, np.float32(0.1) * ones
            )
            assert found == {"pearson": 0.0, "spearman": 0.0}
        zeros = np.zeros(3, int)
        found = scores.compute(TASKS["mrpc"].metrics, zeros, zeros)
        assert found == {"accuracy": 1.0, "f1": 0.0}


@pytest.mark.parametrize("ties", [False, True])
def test_average_precisions_are_scikit_learns(ties):
    rng = np.random.default_rng(2)
    labels = rng.random((200, 6)) < [0.5, 0.3, 0.1, 0.05, 0.01, 0.9]
    labels[:1] = True
    predictions = rng.normal(size=(200, 6)) + labels
    if ties:
        predictions = predictions.round()
    found = scores.average_precisions(labels, predictions)
    assert found.mean() == pytest.approx(
        sklearn.metrics.average_precision_score(labels, predictions, average="macro")
    )
    # All alike: as many are right as there are.
    same = scores.average_precisions(labels, np.zeros((200, 6)))
    np.testing.assert_allclose(same, labels.mean(0))


def test_a_class_that_none_has_is_nan_and_what_is_no_number_comes_last():
    labels = np.array([[1, 0], [0, 0], [1, 0]], bool)
    predictions = np.array([[0.9, 0.1], [np.nan, 0.2], [0.1, 0.3]])
    np.testing.assert_array_equal(
        scores.average_precisions(labels, predictions), [1, np.nan]
    )


def test_transposed_scores_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\) and predictions \(2, 3\) must"):
        scores.average_precisions(np.ones((3, 2)), np.ones((2, 3)))
