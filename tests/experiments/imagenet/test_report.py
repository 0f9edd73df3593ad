"""What the report of an image classifier shows."""

import re

import numpy as np

from experiments import restore
from experiments.imagenet import report
from perceiver_jax.engine.task import Evaluation


def test_confusion_counts_pairs_of_the_most_confused_classes(monkeypatch):
    label = np.array([0, 0, 1, 2, 2, 3])
    predicted = np.array([0, 1, 1, 2, 2, 1])
    counts, classes = report.confusion(label, predicted, 4)
    np.testing.assert_array_equal(classes, [0, 1, 2, 3])
    np.testing.assert_array_equal(
        counts, [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 1, 0, 0]]
    )
    monkeypatch.setattr(report, "MAX_CLASSES", 3)
    counts, classes = report.confusion(label, predicted, 4)
    np.testing.assert_array_equal(classes, [0, 1, 3])  # 2 is never mistaken
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [0, 1, 0]])


def test_images_are_counted_without_those_that_could_not_be_read():
    masks = [np.float32([1, 0, 1]), np.float32([0, 1, 0])]
    numbers = [np.float32([5, 0, 6]), np.float32([0, 7, 0])]
    read = []

    def batches():
        for mask, images in zip(masks, numbers):
            read.append(1)
            yield {"images": images, "mask": mask}

    assert report.read_images(Evaluation(batches), [2, 0]) == {0: 5, 2: 7}
    read.clear()
    assert report.read_images(Evaluation(batches), [1]) == {1: 6}
    assert len(read) <= 2 and report.read_images(Evaluation(batches), []) == {}


def test_long_names_are_cut():
    assert report.shorten("eleven char") == "eleven char"
    assert report.shorten("twelve chars") == "twelve cha…"


def test_report_has_its_numbers_and_four_pictures(trained_digits, tmp_path):
    found = report.make_report(restore.load(trained_digits), tmp_path)
    titles = [section.title for section in found.sections]
    assert titles == ["Learning curves", "Predictions", "Confusion matrix", "Attention"]
    for section in found.sections:
        (name,) = re.findall(r"\((.*)\)", section.body)
        assert (tmp_path / name).stat().st_size > 1000
    mistakes = round(360 * (1 - found.metrics["test/top1"]))
    assert f"{mistakes} mistakes among 360 test images" in found.sections[1].caption
