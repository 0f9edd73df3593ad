"""The page of a report, and a report as a user makes it."""

import pathlib
import shutil

import numpy as np
import programs
from PIL import Image

from experiments import report
from experiments.reporting import Report, Section


def test_report_of_a_run_is_a_page_with_its_pictures(trained_digits, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained_digits, workdir)
    done = programs.run("experiments.report", f"--workdir={workdir}", "--step=best")
    path = workdir / "report" / "index.md"
    assert done.stdout == f"Report: {path}\n"
    index = path.read_text()
    for name in ("loss_curve", "predictions", "confusion_matrix", "attention"):
        assert f"({name}.png)" in index
        with Image.open(workdir / "report" / f"{name}.png") as picture:
            width, height = picture.size
            pixels = np.asarray(picture.convert("L"))
        assert 500 < width < 3000 and 300 < height < 3000
        assert pixels.std() > 10  # something is drawn
    assert "test/top1" in index
    assert "8 x 8 feature map" in index


def test_page_has_numbers_then_how_they_were_made_then_sections(tmp_path):
    path = tmp_path / "index.md"
    sections = [Section("Title", "A caption.", "| a | table |")]
    made = Report({"test/loss": 0.123456}, sections, {"crop": "centre"})
    report.write_index(path, pathlib.Path("/runs/mine/checkpoints/7"), made)
    assert path.read_text().splitlines() == [
        *("# Step 7 of /runs/mine", ""),
        *("| metric | value |", "|---|---|", "| test/loss | 0.1235 |", ""),
        *("- crop: centre", "", "## Title", "", "A caption.", "", "| a | table |"),
    ]
