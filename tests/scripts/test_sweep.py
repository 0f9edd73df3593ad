"""The program that trains many runs, as a user starts it."""

import shlex
import subprocess

from PIL import Image
from programs import RUN, run

from perceiver_jax.engine.writer import read_metrics


def sweep(*flags: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    return run("scripts.sweep", *flags, fails=fails)


def test_two_runs_at_a_time_and_nothing_when_called_again(tmp_path):
    # Of a field that the compiled program does not know: other tests have compiled it.
    grid = ("--grid", "log_every=5,7", "--parallel=2")
    flags = (*RUN, f"--workdir={tmp_path}", *grid)
    flags = tuple(flag for flag in flags if not flag.startswith("--config.log_every"))
    said = sweep(*flags).stdout
    assert "log_every=5: finished, at step 14/14" in said
    assert "2 runs: 2 finished. Table and pictures: " in said
    for number in (5, 7):
        rows = read_metrics(tmp_path / f"log_every={number}")
        assert rows[0]["step"] == number
        assert rows[-1]["step"] == 14 and "score" in rows[-1]
    assert "| 7 | finished | 14/14 |" in (tmp_path / "sweep.md").read_text()
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 1000

    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("log_*/**/*")}
    sweep(*flags)
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.glob("log_*/**/*")}
    assert len(list((tmp_path / "jobs").glob("*_result.pkl"))) == 2


def test_commands_are_printed_and_their_runs_are_known(tmp_path):
    flags = ("--config=configs/digits.py", f"--workdir={tmp_path}", "--sweep")
    more = ("--grid", "seed=0..1", "--config.data.image_size=(4,4)")
    lines = sweep(*flags, *more, "--launcher=print").stdout.splitlines()
    names = [
        f"learning_rate={rate},seed={s}" for rate in (1e-3, 2e-3, 4e-3) for s in "01"
    ]
    for line, name in zip(lines, names, strict=True):
        words = shlex.split(line)
        assert words[1:3] == ["-m", "experiments.train"]
        assert f"--workdir={tmp_path / name}" in words
        assert "--config.data.image_size=(4, 4)" in words
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    shown = sweep(f"--workdir={tmp_path}", "--show").stdout
    assert "6 runs: 6 waiting." in shown
    assert (tmp_path / "sweep.csv").read_text().startswith("run,status,")


def test_errors_are_all_named_and_nothing_is_started(tmp_path):
    flags = ("--config=configs/digits.py", f"--workdir={tmp_path / 'new'}")
    done = sweep(*flags, "--grid", "sed=1,2", "--grid", "seed=x", fails=True)
    starts = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert starts == ["sed=1", "seed=x", "sed=2"]
    done = sweep(*flags, fails=True)
    assert "--sweep or --grid FIELD=VALUES is missing." in done.stdout + done.stderr
    assert not (tmp_path / "new").exists()
