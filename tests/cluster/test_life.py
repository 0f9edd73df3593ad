"""A process of a run ends when it must, and says why; real processes, without JAX's."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from programs import ROOT

from perceiver_jax.cluster import heartbeat, life, phases, signals

# A process that lives in a phase, as the test says, until something ends it.
LIVES = """
import logging, pathlib, sys, time
from perceiver_jax.cluster import heartbeat, life
logging.basicConfig(format="%(message)s")
workdir, index, count, phase, stall, silence = sys.argv[1:]

def cannot_end():
    raise OSError("the disk is full")

limits = life.Limits(heartbeat=float(silence), stall=float(stall))
me = heartbeat.this_process(run=5)
with life.Life(pathlib.Path(workdir), me, int(index), int(count), limits) as lived:
    lived.before_end = lambda: print("saved", flush=True)
    if phase == "cannot end":
        lived.before_end, phase = cannot_end, "evaluation"
    lived.clock.switch(phase)
    print("ready", flush=True)
    if phase == "fails":
        raise KeyError("no such file")
    time.sleep(60)
"""


def start(workdir, index=0, count=1, phase="step", stall=60.0, silence=30.0):
    said = map(str, (workdir, index, count, phase, stall, silence))
    process = subprocess.Popen(
        [sys.executable, "-c", LIVES, *said],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process


def ready(*started):
    for process in started:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    return started


def end(process):
    """What a process said, and its status."""
    said = process.communicate(timeout=30)
    return process.returncode, said[0], said[1]


def beat(workdir, index=0):
    return heartbeat.read(workdir)[index]


@pytest.mark.parametrize("phase", ["start-up", "compile", "evaluation"])
def test_asked_to_stop_with_nothing_to_save_it_ends(tmp_path, phase):
    (process,) = ready(start(tmp_path, phase=phase))
    process.send_signal(signal.SIGTERM)
    status, out, err = end(process)
    assert (status, out) == (signals.UNFINISHED, "saved\n")
    assert f"(SIGTERM) in phase '{phase}'" in err
    assert (beat(tmp_path).ended, beat(tmp_path).phase) == ("stopped", phase)


def test_a_step_is_not_cut_short_but_by_a_second_interrupt(tmp_path):
    (process,) = ready(start(tmp_path))
    process.send_signal(signal.SIGINT)
    assert "SIGINT: saving at the next step" in process.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.send_signal(signal.SIGINT)
    status, _, err = end(process)
    assert status == signals.UNFINISHED and "came again" in err


def test_the_others_of_a_dead_process_end_naming_it(tmp_path):
    zero, one = ready(*(start(tmp_path, i, 2) for i in range(2)))
    one.kill()
    status, _, err = end(zero)
    assert status == signals.UNFINISHED
    assert f"Process 1 of the run (process {one.pid} on" in err and "is dead" in err
    end(one)


def test_the_others_of_a_silent_process_end_naming_it(tmp_path):
    zero, one = ready(*(start(tmp_path, i, 2, "data", silence=6.0) for i in range(2)))
    while beat(tmp_path, 1).phase != "data":
        time.sleep(0.05)
    one.send_signal(signal.SIGSTOP)
    status, _, err = end(zero)
    assert status == signals.UNFINISHED
    assert "phase 'data' of step 0) is silent for 6 s" in err
    one.kill()
    end(one)


def test_what_goes_wrong_at_the_end_is_told(tmp_path):
    (process,) = ready(start(tmp_path, phase="cannot end"))
    process.send_signal(signal.SIGTERM)
    status, _, err = end(process)
    assert status == 1 and "the disk is full" in err
    assert (beat(tmp_path).ended, beat(tmp_path).message) == (
        "failed",
        "the disk is full",
    )


def test_the_others_of_a_failed_process_fail_with_its_words(tmp_path):
    zero, one = start(tmp_path, 0, 2), start(tmp_path, 1, 2, "fails")
    ready(zero, one)
    assert end(one)[0] == 1
    status, _, err = end(zero)
    assert status == 1 and "failed: 'no such file'" in err


def test_what_one_is_asked_all_are(tmp_path):
    zero, one = ready(start(tmp_path, 0, 2), start(tmp_path, 1, 2, "evaluation"))
    zero.send_signal(signal.SIGTERM)
    status, _, err = end(one)
    assert status == signals.UNFINISHED
    assert "Asked to stop (SIGTERM) in phase 'evaluation'" in err
    assert end(zero)[0] == signals.UNFINISHED


def test_who_is_behind_is_named_when_nothing_moves(tmp_path):
    zero, one = ready(
        start(tmp_path, 0, 2, "step", 2.0), start(tmp_path, 1, 2, "data", 50.0)
    )
    status, _, err = end(zero)
    assert status == signals.UNFINISHED
    assert f"No progress for 2 s: process 1 (process {one.pid}" in err
    assert "phase 'data'" in err
    assert end(one)[0] == signals.UNFINISHED


def test_second_run_in_a_workdir_is_refused_and_the_first_goes_on(tmp_path):
    (process,) = ready(start(tmp_path))
    with pytest.raises(ValueError, match=f"is in use: process {process.pid}"):
        life.join(tmp_path, {})
    assert process.poll() is None
    process.kill()
    end(process)
    with life.join(tmp_path, {"config": {}}) as lived:
        assert lived.before.pid == process.pid
        assert (beat(tmp_path).pid, beat(tmp_path).ended) == (os.getpid(), "")
    assert beat(tmp_path).ended == "finished"


def test_one_that_was_overwritten_leaves(tmp_path):
    (process,) = ready(start(tmp_path))
    while beat(tmp_path).beat < 2:
        time.sleep(0.05)
    pulse = heartbeat.Pulse(tmp_path, 0)
    pulse.write(heartbeat.this_process(run=6))
    pulse.close()
    status, _, err = end(process)
    assert status == 1 and f"taken over by process {os.getpid()}" in err
    assert beat(tmp_path).run == 6


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (None, "finished"),
        (signals.Stopped("enough"), "stopped"),
        (KeyError(), "failed"),
    ],
)
def test_the_end_is_told(tmp_path, error, ended):
    lived = life.join(tmp_path, {})
    try:
        with lived:
            lived.step, lived.total_steps = 3, 9
            lived.clock.switch(phases.STEP)
            if error:
                raise error
    except (signals.Stopped, KeyError):
        pass
    last = json.loads((tmp_path / "processes" / "0.json").read_text())
    assert (last["ended"], last["step"], last["total_steps"]) == (ended, 3, 9)
    assert bool(last["message"]) == (error is not None)


def test_workdir_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file/run can't be written to"):
        life.join(tmp_path / "file" / "run", {})


def test_what_is_asked_is_noticed_by_the_main_thread(tmp_path):
    with life.join(tmp_path, {}) as lived:
        lived.clock.switch(phases.STEP)
        lived.check()
        os.kill(os.getpid(), signal.SIGTERM)
        while not lived.asked:
            time.sleep(0.01)
        with pytest.raises(signals.Stopped, match="SIGTERM"):
            lived.check()
