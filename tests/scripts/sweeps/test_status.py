"""How runs stand, by files as they are at some moment."""

import math
import time

import fake_sweep
import pytest

from scripts.sweeps import status
from scripts.sweeps.job import Outcome

DEAD = {"pid": 2**22 + 1}  # more than Linux gives
ELSEWHERE = {"host": "elsewhere"}


@pytest.fixture
def run(tmp_path):
    (made,) = fake_sweep.plan(tmp_path, {"seed": "1"})
    made.prepare()
    return made


def test_run_that_never_began(run):
    assert status.status(run) == ("waiting", "", 0, 100)
    assert status.status(run, status.QUEUED) == ("queued", "", 0, 100)
    assert status.status(run, status.RUNNING) == ("running", "starts", 0, 100)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"step": 30}, ("running", "step", 30)),
        ({"step": 30, **DEAD}, ("killed", "in phase 'step'", 30)),
        ({"step": 30, **ELSEWHERE}, ("running", "step", 30)),
        ({"step": 30, "time": 1e9, **ELSEWHERE}, ("killed", "in phase 'step'", 30)),
        ({"step": 100, "ended": "finished"}, ("finished", "", 100)),
        ({"step": 30, "ended": "stopped", "message": "m"}, ("stopped", "m", 30)),
        ({"step": 30, "ended": "failed", "message": "m"}, ("failed", "m", 30)),
    ],
)
def test_run_that_began(run, fields, expected):
    fake_sweep.beat(run, **fields)
    assert status.status(run) == (*expected, 100)


def test_job_says_more_than_the_end_of_the_training_before(run):
    fake_sweep.beat(run, step=30, ended="stopped")
    assert status.status(run, status.RUNNING).note == "starts"
    fake_sweep.beat(run, step=30, phase="compile")
    assert status.status(run, status.RUNNING).note == "compile"
    fake_sweep.beat(run, step=100, ended="finished")
    assert status.status(run, status.RUNNING).state == "finished"


def test_run_that_failed_before_its_first_sign_of_life(run):
    Outcome("7", None).write(run.workdir)
    assert status.status(run).state == "waiting"
    Outcome("7", 1, "There is no such data.").write(run.workdir)
    assert status.status(run) == ("failed", "There is no such data.", 0, 100)


def test_run_with_another_config_is_neither_finished_nor_to_go_on(tmp_path, run):
    fake_sweep.beat(run, step=100, ended="finished")
    fake_sweep.checkpoint(run, 100)
    assert status.status(run).state == "finished"
    (longer,) = fake_sweep.plan(tmp_path, {"seed": "1"}, steps="200")
    changed = status.status(longer)
    assert changed[:2] == ("changed", "begun with steps 100, now 200")


def test_numbers_of_a_run(run):
    assert status.measure(run.workdir).last == {}
    fake_sweep.measure(run, [3.0, 2.0, 1.5], [0.5, 0.8, math.nan, 0.8])
    measured = status.measure(run.workdir)
    assert measured.last["train/loss"] == 1.5 and measured.last["step"] == 200
    assert (measured.best, measured.best_step) == (0.8, 100)
    assert measured.curve("train/loss") == ([10, 20, 30], [3.0, 2.0, 1.5])


def test_files_that_grow_are_read_again(run):
    fake_sweep.measure(run, [3.0])
    first = status.measure(run.workdir)
    assert status.measure(run.workdir) is first
    fake_sweep.measure(run, [3.0, 2.0])
    assert status.measure(run.workdir).last["train/loss"] == 2.0


def test_time_left_is_by_the_last_rate(run):
    fake_sweep.measure(run, [3.0])
    measured = status.measure(run.workdir)
    running = status.Status(status.RUNNING, "step", 40, 100)
    assert status.seconds_left(running, measured) == 30.0  # at 2 steps a second
    assert math.isnan(status.seconds_left(running._replace(state="killed"), measured))
    assert math.isnan(status.seconds_left(running, status.measure(run.workdir / "no")))


def test_clocks_of_other_hosts_may_differ_a_little(run):
    fake_sweep.beat(run, time=time.time() - 30, **ELSEWHERE)
    assert status.status(run).state == "running"
