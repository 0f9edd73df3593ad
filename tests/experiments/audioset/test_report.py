"""experiments.report on a run of AudioSet."""

import numpy as np
import programs
from PIL import Image

from experiments.audioset import outputs, report
from perceiver_jax.engine.task import Evaluation


def test_report_shows_curves_clips_classes_and_attention(trained_audioset):
    programs.run("experiments.report", f"--workdir={trained_audioset}")
    folder = trained_audioset / "report"
    index = (folder / "index.md").read_text()
    assert "test/mAP" in index and "- clips_of_a_file: 2" in index
    assert "| even | 1 |" in index and "| odd | 1 |" in index
    for name in ("loss_curve", "clips", "attention"):
        assert f"({name}.png)" in index
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 10


def test_the_first_clips_of_files_that_could_be_read():
    def batches():
        for start in (0, 4):
            yield {
                "file": np.array([start, start, start + 1, start + 2]),
                "mask": np.array([0, 1, 1, 1 - start / 4]),
                "x": np.arange(4) + 10 * start,
            }

    found = report.first_clips(Evaluation(batches))
    assert found["file"].tolist() == [0, 1, 2, 4, 5]
    assert found["x"].tolist() == [1, 2, 3, 41, 42]


def test_the_worst_classes_come_first(monkeypatch):
    labels = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]], bool)
    scores = np.array([[0.1, 0.2, 0.5, 0.5], [0.2, 0.9, 0.5, 0.5], [0.3, 0, 0, 0]])
    averaged = outputs.Averaged(labels, scores, np.arange(3))
    section = report.classes_section(("a", "b", "c", "d"), averaged)
    assert "Of 3 classes that some of the 3 files have" in section.caption
    rows = [line.split(" | ")[0] for line in section.body.splitlines()[2:]]
    assert rows == ["| a", "| b", "| d"]
    assert "| a | 1 | 33.3% | 33.3% |" in section.body
    monkeypatch.setattr(report, "MAX_CLASSES", 1)
    assert "| b |" not in report.classes_section("abcd", averaged).body
