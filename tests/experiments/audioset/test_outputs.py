"""The loss of clips and the mAP of files, by numpy."""

import numpy as np
import pytest
import scipy.special

from experiments.audioset import outputs


def average_precision(truth, score):
    """Area under precision over recall, step by step, thresholds from high to low."""
    total, found = truth.sum(), 0
    area = 0.0
    for threshold in np.unique(score)[::-1]:
        said = score >= threshold
        right = (truth & said).sum()
        area += (right - found) / total * right / said.sum()
        found = right
    return area


def test_the_loss_is_summed_over_classes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 5)).astype(np.float32)
    labels = (rng.random((3, 5)) < 0.5).astype(np.float32)
    batch = {"labels": labels, "mask": np.array([1, 1, 0], np.float32)}
    loss, weight = outputs.measure(logits, batch)["loss"]
    p = scipy.special.expit(logits)
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).sum(1)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert weight.tolist() == [1, 1, 0]


def test_clips_of_a_file_are_averaged_as_probabilities(monkeypatch):
    monkeypatch.setattr(outputs, "_ROWS", 2)  # in several parts
    logits = np.array([[0.0], [4.0], [-2.0], [1.0], [3.0]], np.float32)
    found = {
        "logits": logits,
        "labels": np.array([[1], [1], [0], [0], [1]], bool),
        "file": np.array([4, 4, 2, 4, 7]),
    }
    averaged = outputs.average(found)
    assert averaged.file.tolist() == [2, 4, 7]
    p = scipy.special.expit(logits[:, 0].astype(np.float64))
    expected = [p[2], (p[0] + p[1] + p[3]) / 3, p[4]]
    np.testing.assert_allclose(averaged.probabilities[:, 0], expected)
    assert averaged.labels[:, 0].tolist() == [False, True, True]


def test_map_is_of_files_and_of_classes_that_some_file_has():
    rng = np.random.default_rng(1)
    labels = rng.random((20, 4)) < 0.3
    labels[:, 2] = False
    logits = np.round(rng.normal(size=(20, 4)) + labels, 1).astype(np.float32)
    found = {
        "logits": np.repeat(logits, 2, axis=0),
        "labels": np.repeat(labels, 2, axis=0),
        "file": np.repeat(np.arange(20), 2),
    }
    numbers = outputs.summary(found)
    expected = [average_precision(labels[:, c], logits[:, c]) for c in (0, 1, 3)]
    assert numbers["mAP"] == pytest.approx(np.mean(expected))
    assert numbers["files"] == 20 and numbers["classes_without_files"] == 1


def test_sure_answers_are_not_rounded_to_a_tie():
    """In float32 both are 1."""
    found = {
        "logits": np.array([[20.0], [25.0]], np.float32),
        "labels": np.array([[False], [True]]),
        "file": np.arange(2),
    }
    assert outputs.summary(found)["mAP"] == 1


def test_a_set_without_any_label_has_no_precision():
    found = {
        "logits": np.zeros((2, 3), np.float32),
        "labels": np.zeros((2, 3), bool),
        "file": np.arange(2),
    }
    numbers = outputs.summary(found)
    assert numbers == {"mAP": 0, "files": 2, "classes_without_files": 3}
