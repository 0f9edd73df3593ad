"""The report of a text classifier."""

import shutil

import numpy as np
import programs
import pytest

from experiments.glue import report
from experiments.glue.data import TextTask


def rows_of(section):
    """The cells of a section's table, without its header."""
    lines = section.body.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture
def examples():
    texts = [(b"one",), (b"two\nlines",), (b"th|ree", b"pair"), (b"four",)]
    return [{"texts": text} for text in texts]


def test_classes_and_surest_mistakes(examples):
    task = TextTask("t", ("no", "yes"), ("accuracy",), [], {"t": examples})
    found = {
        "label": np.array([0.0, 0, 1, 1]),
        "predicted": np.array([0.0, 1, 0, 1]),
        "confidence": np.array([0.9, 0.6, 0.8, 0.7]),
    }
    classes, mistakes = report.set_sections(task, "t", found)
    assert rows_of(classes) == [
        ["no", "2", "50.0%", "yes (1)"],
        ["yes", "2", "50.0%", "no (1)"],
    ]
    assert mistakes.caption == "2 of 4 are wrong. The surest ones:"
    assert rows_of(mistakes) == [
        [r"th\|ree [SEP] pair", "yes", "no", "80.0%"],
        ["two lines", "no", "yes", "60.0%"],
    ]


def test_scores_that_are_furthest_off(examples):
    task = TextTask("t", (), ("pearson",), [], {"t": examples})
    found = {
        "label": np.array([0.0, 1, 2, 3]),
        "predicted": np.array([0.0, 1.5, 1, 3.25]),
    }
    (section,) = report.set_sections(task, "t", found)
    assert [row[1:] for row in rows_of(section)] == [
        ["2.00", "1.00"],
        ["1.00", "1.50"],
        ["3.00", "3.25"],
        ["0.00", "0.00"],
    ]


def test_a_class_that_is_always_right_is_taken_for_nothing():
    found = {"label": np.array([0.0, 0]), "predicted": np.array([0.0, 0])}
    section = report.confused_classes("t", ("a", "b"), found)
    assert rows_of(section) == [["a", "2", "100.0%", ""], ["b", "0", "0.0%", ""]]


def test_long_texts_are_cut():
    assert len(report.joined([b"x" * 1000])) == report.MAX_CHARACTERS
    assert report.joined([b"a\n b", b"\xff"]) == "a b [SEP] \ufffd"


def test_report_of_a_run(trained, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    programs.run("experiments.report", f"--workdir={workdir}")
    index = (workdir / "report" / "index.md").read_text(encoding="utf-8")
    assert "| score |" in index and "(loss_curve.png)" in index
    assert "## mnli_matched: classes" in index and "## stsb: mistakes" in index
    assert (workdir / "report" / "loss_curve.png").stat().st_size > 10_000
