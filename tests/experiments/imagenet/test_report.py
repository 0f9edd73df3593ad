"""experiments/report.py on a run, as a user calls it."""

import shutil

import numpy as np
import programs
import pytest
from PIL import Image

from configs import digits
from experiments import drawing as attention_pictures
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


def test_latents_are_chosen_peaked_and_unlike_each_other():
    maps = np.full((1, 6, 2, 2), 0.25)
    maps[0, 1] = maps[0, 2] = [[0.97, 0.01], [0.01, 0.01]]
    maps[0, 4] = [[0.01, 0.01], [0.01, 0.97]]
    assert sorted(attention_pictures.choose_latents(maps, 2)) in ([1, 4], [2, 4])
    assert len(set(attention_pictures.choose_latents(maps, 9))) == 6


@pytest.mark.parametrize(
    ("stem", "shape"),
    [
        ("pixels", (9, 14)),
        ("pointwise", (9, 14)),
        ("conv", (3, 4)),
        ("patches", (2, 3)),
    ],
)
def test_feature_map_shape_is_that_of_the_stem(stem, shape):
    model = digits.get_config().model
    model.stem, model.patch_size = stem, 4
    assert attention_pictures.feature_map_shape(model, (9, 14)) == shape


def test_unknown_stem_is_named():
    model = digits.get_config().model
    model.stem = "wavelets"
    with pytest.raises(ValueError, match="wavelets"):
        attention_pictures.feature_map_shape(model, (8, 8))
