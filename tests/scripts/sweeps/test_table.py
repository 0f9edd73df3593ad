"""The table of a sweep, in its three forms."""

import csv
import math

import fake_sweep
import pytest
from rich.console import Console

from scripts.sweeps import status, table


@pytest.fixture
def rows(tmp_path):
    """A finished run, one at work, one that failed and one that has not begun."""
    points = [{"seed": "0"}, {"seed": "1"}, {"batch_size": "16"}, {}]
    done, busy, failed, waiting = fake_sweep.plan(tmp_path, *points)
    fake_sweep.measure(done, [2.0, 1.0], [0.25, 0.75, 0.5])
    fake_sweep.beat(done, step=100, ended="finished")
    fake_sweep.measure(busy, [2.5, 1.25], [0.8125])
    fake_sweep.beat(busy, step=40, phase="evaluation")
    fake_sweep.beat(failed, step=30, ended="failed", message="loss is nan")
    return [
        table.Row(run, status.status(run), status.measure(run.workdir))
        for run in (done, busy, failed, waiting)
    ]


def test_cells_of_a_row(rows):
    done, busy, failed, waiting = (row.cells() for row in rows)
    assert done == ["finished", "100/100", "1", "0.5", "0.75 at 100", ""]
    assert busy[0] == "running (evaluation)" and busy[-1] == "0m30s"
    assert failed == ["failed", "30/100", "", "", "", ""]
    assert waiting == ["waiting", "0/100", "", "", "", ""]


def test_csv_has_all_numbers_of_all_runs(rows):
    lines = list(csv.DictReader(table.csv_text(rows).splitlines()))
    assert [line["run"] for line in lines] == [
        "seed=0",
        "seed=1",
        "batch_size=16",
        "base",
    ]
    first = lines[0]
    assert (first["seed"], first["batch_size"]) == ("0", "64")
    assert (first["step"], first["total_steps"], first["score"]) == (
        "100",
        "100",
        "0.5",
    )
    assert (first["best score"], first["best score step"]) == ("0.75", "100")
    assert lines[2]["note"] == "loss is nan" and lines[2]["train/loss"] == ""


def test_page_has_the_best_run_first_and_what_went_wrong(rows):
    page = table.markdown(rows, {"Curves": "curves.png"})
    lines = page.splitlines()
    assert lines[0] == "# Sweep of configs/digits.py"
    assert lines[2] == "4 runs: 1 finished, 1 running, 1 failed, 1 waiting."
    head = "| batch_size | seed | status | step | train/loss | score | best score |"
    start = lines.index(head)
    assert lines[start + 2].startswith("| 64 | 1 | running (evaluation) | 40/100 |")
    assert lines[start + 3].endswith("| 1 | 0.5 | 0.75 at 100 |")
    assert "- batch_size=16: failed, at step 30/100: loss is nan" in lines
    assert lines[-1] == "![Curves](curves.png)"


def test_terminal_shows_every_run(rows):
    console = Console(width=120, file=None)
    with console.capture() as shown:
        console.print(table.draw(rows))
    text = shown.get()
    for row in rows:
        (line,) = (line for line in text.splitlines() if row.run.name in line)
        assert all(cell in line for cell in row.cells())


def test_without_a_terminal_changes_are_told_once(rows, capsys):
    with table.View() as view:
        view.show(rows)
        view.show(rows)
        view.show([rows[1]._replace(status=status.Status("killed", "", 44, 100))])
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "seed=0: finished, at step 100/100, score 0.5, best 0.75 at 100",
        "seed=1: running, at step 40/100, score 0.8125, best 0.8125 at 50",
        "batch_size=16: failed, at step 30/100: loss is nan",
        "seed=1: killed, at step 44/100, score 0.8125, best 0.8125 at 50",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(math.nan, ""), (5.4, "0m05s"), (3725, "1h02m")]
)
def test_time(seconds, text):
    assert table.clock(seconds) == text


def test_file_is_replaced_as_a_whole(tmp_path):
    for text in ("first", "é"):
        table.write(tmp_path / "sweep.md", text)
        assert (tmp_path / "sweep.md").read_text(encoding="utf-8") == text
    assert len(list(tmp_path.iterdir())) == 1
