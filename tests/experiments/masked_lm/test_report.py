"""The report of a masked language model, written as a user has it written."""

import shutil

import programs
from PIL import Image

from experiments.masked_lm import report


def test_report_shows_curves_and_fills(pretrained_text, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(pretrained_text, workdir)
    programs.run("experiments.report", f"--workdir={workdir}")
    index = (workdir / "report" / "index.md").read_text(encoding="utf-8")
    assert "| docs/bits_per_byte |" in index and "| score |" in index
    assert "## docs: fills" in index and "| hidden | filled | true |" in index
    assert "(loss_curve.png)" in index
    with Image.open(workdir / "report" / "loss_curve.png") as picture:
        assert picture.size[0] > 2 * picture.size[1]


def test_curves_are_of_training_and_all_sets():
    loss, accuracy, _ = report.make_curves(["c4_en", "wikipedia"])
    assert loss.lines["train"] == "train/loss"
    assert accuracy.lines["wikipedia"] == "wikipedia/masked_accuracy"
    assert accuracy.scale == 100
