"""The numbers of a text classifier."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from experiments import restore
from experiments.glue import outputs
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.evaluation import Evaluator


def test_the_loss_is_of_the_task_that_is_asked():
    logits = {"one": np.array([[2.0, 0], [0, 0]]), "two": np.array([[9.0], [1.5]])}
    batch = {
        "label": np.array([1.0, 4.0]),
        "task": np.array([0, 1]),
        "mask": np.array([1.0, 1.0]),
    }
    found = outputs.Metrics({"one": 2, "two": 0})(logits, batch)
    expected = [np.log(1 + np.exp(2.0)), 2.5**2]
    np.testing.assert_allclose(found["loss"][0], expected, rtol=1e-6)
    np.testing.assert_array_equal(found["loss_two"][1], [0, 1])


def test_predictions_are_of_the_task_that_is_asked():
    logits = {"one": np.array([[2.0, 3], [0, 0]]), "two": np.array([[9.0], [1.5]])}
    batch = {
        "label": np.array([1.0, 4.0]),
        "index": np.array([5, 6]),
        "task": np.array([0, 1]),
    }
    found = outputs.Predictions({"one": 2, "two": 0})(logits, batch)
    np.testing.assert_array_equal(found["predicted"], [1, 1.5])
    sure = scipy.special.softmax([2.0, 3])[1]
    np.testing.assert_allclose(found["confidence"], [sure, 1], rtol=1e-6)
    for name in outputs.KEPT:
        np.testing.assert_array_equal(found[name], batch[name])


def test_the_average_counts_every_task_once():
    average = outputs.Average({"a": ["a/f1"], "b": ["b_1/accuracy", "b_2/accuracy"]})
    numbers = {"a/f1": 0.5, "b_1/accuracy": 0.2, "b_2/accuracy": 0.4, "b_1/loss": 7.0}
    assert average(numbers) == pytest.approx(100 * (0.5 + 0.3) / 2)


def test_metrics_are_those_of_scikit_learn_and_scipy(trained):
    restored = restore.load(trained)
    evaluator = Evaluator(*restored.make_task(), restored.parallel)
    results = evaluator(restored.variables)
    assert len(results.predictions) == 9  # MNLI has two
    main = {}
    for name, found in results.predictions.items():
        task, label, guess = name.split("_")[0], found["label"], found["predicted"]
        assert len(label) == 5
        if task == "stsb":
            expected = {
                "pearson": scipy.stats.pearsonr(label, guess)[0],
                "spearman": scipy.stats.spearmanr(label, guess)[0],
            }
        elif task == "cola":
            expected = {"matthews": sklearn.metrics.matthews_corrcoef(label, guess)}
        else:
            expected = {"accuracy": sklearn.metrics.accuracy_score(label, guess)}
            if task in ("mrpc", "qqp"):
                expected["f1"] = sklearn.metrics.f1_score(label, guess, zero_division=0)
        for metric, value in expected.items():
            assert results.metrics[f"{name}/{metric}"] == pytest.approx(value, abs=1e-6)
        main.setdefault(task, []).append(next(iter(expected.values())))
    average = 100 * np.mean([np.mean(values) for values in main.values()])
    assert results.metrics["score"] == pytest.approx(average, abs=1e-5)
    about = checkpoint.load_variables(trained)[1]
    assert about["vocabulary"] == "bytes"
