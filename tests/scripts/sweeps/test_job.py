"""What a job does when a training ends, with a stand-in that trains nothing."""

import pathlib
import signal
import sys
import threading
import time

import pytest
import submitit

from scripts.sweeps.job import Job, Outcome, last_line, newest_step

# Ends with the statuses that it is given, one a start; "+75" makes a checkpoint first.
# Where there is none left, it waits for SIGTERM and makes one more.
TRAINING = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
starts = folder / "starts"
number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))

def save(*_):
    (folder / "checkpoints" / str(number + 1)).mkdir(parents=True)

if number + 2 < len(sys.argv):
    status = sys.argv[number + 2]
    if status.startswith("+"):
        save()
    print(f"start {number}")
    sys.exit(int(status))
signal.signal(signal.SIGTERM, lambda *_: (save(), sys.exit(75)))
(folder / "ready").touch()
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def as_submitit_does(monkeypatch):
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", "7")
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def make_job(folder: pathlib.Path, *statuses: str) -> Job:
    return Job([sys.executable, "-c", TRAINING, str(folder), *statuses], folder)


def starts(folder: pathlib.Path) -> int:
    return len((folder / "starts").read_text())


@pytest.mark.parametrize(
    ("statuses", "expected", "number"),
    [
        (("0",), 0, 1),
        (("+75", "75", "+75", "0"), 0, 4),  # stopped: it is started again
        (("1", "0"), 1, 1),  # an error: it is not
        (("+75", "75", "75", "75", "0"), 75, 4),  # it gets nowhere
    ],
)
def test_training_is_started_again_while_it_gets_on(
    tmp_path, statuses, expected, number
):
    assert make_job(tmp_path, *statuses)() == expected
    assert starts(tmp_path) == number
    outcome = Outcome.read(tmp_path)
    assert outcome == ("7", expected, f"start {number - 1}")


def when_ready(folder: pathlib.Path, do) -> threading.Thread:
    def wait():
        while not (folder / "ready").exists():
            time.sleep(0.01)
        do()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_sigterm_stops_the_training_for_good(tmp_path):
    thread = when_ready(tmp_path, lambda: signal.raise_signal(signal.SIGTERM))
    assert make_job(tmp_path)() == 75
    thread.join()
    assert starts(tmp_path) == 1 and (tmp_path / "checkpoints/1").exists()


def test_job_that_runs_out_of_time_goes_on_as_another(tmp_path):
    job, made = make_job(tmp_path), []
    thread = when_ready(tmp_path, lambda: made.append(job.checkpoint()))
    job()
    thread.join()
    (delayed,) = made
    assert isinstance(delayed, submitit.helpers.DelayedSubmission)
    assert delayed.function == job and starts(tmp_path) == 1


def test_job_that_gets_nowhere_in_its_time_gives_up(tmp_path):
    job = make_job(tmp_path)
    job.fruitless = 2
    (tmp_path / "checkpoints/1000").mkdir(parents=True)  # newer than what it will save
    made = []
    thread = when_ready(tmp_path, lambda: made.append(job.checkpoint()))
    job()
    thread.join()
    assert made == [None]


def test_newest_checkpoint_is_a_whole_one(tmp_path):
    assert newest_step(tmp_path) == 0
    for name in ("40", "120", "200.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert newest_step(tmp_path) == 120


def test_last_line_of_a_log(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 9000 + b"\nfirst\n  last \xff\n\n")
    assert last_line(log) == "last \ufffd"
    log.write_bytes(b"")
    assert last_line(log) == ""
