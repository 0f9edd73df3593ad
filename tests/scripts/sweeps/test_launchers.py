"""Where runs are trained, with stand-ins for the trainings and for SLURM."""

import os
import pathlib
import sys
import time

import fake_sweep
import pytest

from scripts.sweeps import launchers
from scripts.sweeps.job import LOG, Outcome

# A training: says what it sees, and waits until it may end, or is asked to.
TRAINING = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
print(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
(folder / "ready").touch()
while not (folder / "end").exists():
    time.sleep(0.02)
"""


def command(run):
    return [sys.executable, "-u", "-c", TRAINING, str(run.workdir)]


def prepare(folder, count):
    runs = fake_sweep.plan(folder, *({"seed": str(i)} for i in range(count)))
    for run in runs:
        run.prepare()
    return runs


def poll_until(launcher, is_so, seconds=30.0):
    """Polls until the answer is as wanted, and returns it."""
    end = time.monotonic() + seconds
    while not is_so(jobs := launcher.poll()):
        assert time.monotonic() < end, jobs
        time.sleep(0.05)
    return jobs


def are_ready(*runs):
    return lambda _: all((run.workdir / "ready").exists() for run in runs)


def test_runs_are_trained_so_many_at_a_time_each_on_its_own_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    first, second, third = prepare(tmp_path, 3)
    launcher = launchers.Local(tmp_path, 2, 2, command)
    launcher.start([first, second, third])
    jobs = poll_until(launcher, are_ready(first, second))
    assert jobs == {"seed=0": "running", "seed=1": "running", "seed=2": "waiting"}
    (first.workdir / "end").touch()
    poll_until(launcher, are_ready(third))
    assert "2 runs save and end" in launcher.stop()
    assert poll_until(launcher, lambda jobs: not jobs) == {}
    outcomes = [Outcome.read(run.workdir) for run in (first, second, third)]
    assert [outcome.exit_status for outcome in outcomes] == [0, 75, 75]
    logs = [(run.workdir / LOG).read_text() for run in (first, second, third)]
    assert logs == ["4,5\n", "6,7\n", "4,5\n"]


@pytest.mark.parametrize(
    ("gpus", "visible", "places"),
    [
        (0, None, [["env", "-u", "CUDA_VISIBLE_DEVICES"]] * 2),
        (0, "3", [["env", "CUDA_VISIBLE_DEVICES=3"]] * 2),
        (1, None, [["env", f"CUDA_VISIBLE_DEVICES={i}"] for i in range(2)]),
        (1, "6,7", [["env", f"CUDA_VISIBLE_DEVICES={i}"] for i in (6, 7)]),
    ],
)
def test_gpus_are_shared_out(tmp_path, monkeypatch, gpus, visible, places):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launchers.Local(tmp_path, 2, gpus, command).places == places


def test_too_few_gpus_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with pytest.raises(ValueError, match="need 4 GPUs, but .*=0,1,2 has 3"):
        launchers.Local(tmp_path, 2, 2, command)


def test_run_on_a_tpu_is_a_command_for_a_slice_of_its_own(tmp_path):
    runs = fake_sweep.plan(tmp_path, {"seed": "1"}, {"data.image_size": "(4,4)"})
    tpu = launchers.Tpu(["--zone=us-central2-b", "--type=v4-32"])
    made = [tpu.command(run) for run in runs]
    names = [words[6].removeprefix("--name=") for words in made]
    assert made[0][1:4] == ["-m", "scripts.tpu", "run"]
    assert made[0][4:6] == ["--zone=us-central2-b", "--type=v4-32"]
    assert made[0][7] == "--"
    assert made[0][8:] == runs[0].arguments
    assert names[0].startswith("sweep-seed-1-")
    assert names[1].startswith("sweep-image-size-4x4-") and len(names[1]) < 63


# Stands on PATH for SLURM's commands: sbatch keeps what it gets, squeue shows a file.
SLURM = {
    "sbatch": 'cp "$1" {folder}/submitted; echo Submitted batch job 42',
    "squeue": "cat {folder}/queue",
    "srun": "true",
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder with `submitted` and `queue`, and SLURM on PATH."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, body in SLURM.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body.format(folder=folder)}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(launchers, "SQUEUE_SECONDS", 0.0)
    return folder


def make_slurm(folder: pathlib.Path, runs) -> launchers.Slurm:
    options = {
        "timeout_min": 60,
        "slurm_partition": "gpu",
        "slurm_array_parallelism": 2,
    }
    return launchers.Slurm(folder / "mysweep", runs, options)


def test_slurm_gets_one_array_of_jobs(tmp_path, slurm):
    runs = prepare(tmp_path, 3)
    launcher = make_slurm(tmp_path, runs)
    launcher.start(runs)
    script = (slurm / "submitted").read_text()
    for option in ("partition=gpu", "time=60", "array=0-2%2", "job-name=mysweep"):
        assert f"#SBATCH --{option}\n" in script
    assert [Outcome.read(run.workdir).job for run in runs] == ["42_0", "42_1", "42_2"]
    (slurm / "queue").write_text("42_0 RUNNING\n42_1 PENDING\n7 RUNNING\n")
    assert launcher.poll() == {"seed=0": "running", "seed=1": "queued"}
    assert Outcome.read(runs[2].workdir).message == "job 42_2 is gone"
    assert launcher.stop().endswith("scancel 42") and launcher.outlives


def test_jobs_of_an_earlier_call_are_known(tmp_path, slurm):
    runs = prepare(tmp_path, 2)
    make_slurm(tmp_path, runs).start(runs)
    (slurm / "queue").write_text("42_1 PENDING\n")
    later = make_slurm(tmp_path, runs)
    assert later.poll() == {"seed=1": "queued"}
    (slurm / "squeue").write_text("#!/bin/sh\nexit 1\n")  # SLURM does not answer
    assert later.poll() == {"seed=1": "queued"}
