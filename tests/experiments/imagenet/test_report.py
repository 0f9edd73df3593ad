"""experiments/report.py on a run, as a user calls it."""

import shutil

import numpy as np
import programs
from PIL import Image

from experiments.imagenet import report


def test_report_of_a_run_shows_curves_predictions_confusion_and_attention(
    trained_digits, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained_digits, workdir)
    programs.run("experiments.report", f"--workdir={workdir}", "--step=best")
    index = (workdir / "report" / "index.md").read_text()
    for name in ("loss_curve", "predictions", "confusion_matrix", "attention"):
        assert f"({name}.png)" in index
        with Image.open(workdir / "report" / f"{name}.png") as picture:
            width, height = picture.size
            pixels = np.asarray(picture.convert("L"))
        assert 500 < width < 3000 and 300 < height < 3000
        assert pixels.std() > 10  # something is drawn
    assert "test/top1" in index
    assert "8 x 8 feature map" in index


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
