"""Parts that the reports of all tasks share."""

import json

import matplotlib.pyplot as plt
import pytest

from experiments import reporting
from experiments.reporting import Curve, Section

ROWS = [
    {"step": 1, "train/loss": 3.0, "train/top1": 0.25},
    {"step": 2, "train/loss": 2.0},
    {"step": 2, "test/loss": 2.5},
]
CURVES = (
    Curve("Loss", {"train": "train/loss", "test": "test/loss", "no": "nowhere"}),
    Curve("Accuracy", {"train": "train/top1"}, 100),
)


@pytest.fixture
def figure():
    made = reporting.draw_curves(ROWS, CURVES)
    yield made
    plt.close(made)


def test_curves_have_the_points_of_their_rows(figure):
    loss, accuracy = figure.axes
    assert (loss.get_title(), accuracy.get_title()) == ("Loss", "Accuracy")
    points = [line.get_xydata().tolist() for line in loss.lines]
    assert points == [[[1, 3.0], [2, 2.0]], [[2, 2.5]]]
    assert accuracy.lines[0].get_xydata().tolist() == [[1, 25.0]]
    told = [text.get_text() for text in loss.get_legend().get_texts()]
    assert told == ["train, last 2", "test, last 2.5"]


def test_curves_are_a_section_where_there_was_training(tmp_path):
    assert reporting.curves_section(tmp_path, tmp_path, CURVES, "caption") == []
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "metrics.jsonl").write_text(lines)
    (section,) = reporting.curves_section(tmp_path, tmp_path, CURVES, "caption")
    assert section.body == "![Learning curves](loss_curve.png)"
    assert section.caption == "caption" and (tmp_path / "loss_curve.png").exists()


def test_a_picture_is_shown_below_its_caption():
    section = Section.of_picture("Title", "a.png", "What it is.")
    assert section == ("Title", "What it is.", "![Title](a.png)")
