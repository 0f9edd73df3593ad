"""Signs of life are written in place, read back, and are the lock of a workdir."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from perceiver_jax.cluster import heartbeat


def write(workdir, index=0, **fields):
    """Leaves the beat of this process, with other fields."""
    pulse = heartbeat.Pulse(workdir, index)
    pulse.write(heartbeat.this_process(run=7)._replace(**fields))
    pulse.close()


def claim(workdir):
    """Takes a workdir, and lets go of it."""
    heartbeat.Claim(workdir).release()


def test_beats_are_read_back(tmp_path):
    assert heartbeat.read(tmp_path) == {}
    write(tmp_path, 1, step=12, phase="data")
    write(tmp_path, 0, step=3, phase="step", message="x" * 9000)
    beats = heartbeat.read(tmp_path)
    assert list(beats) == [0, 1]
    assert (beats[1].step, beats[1].phase, beats[1].pid) == (12, "data", os.getpid())
    assert 100 < len(beats[0].message) < 2000
    write(tmp_path, 0, step=4)  # shorter than what stood there
    assert heartbeat.read(tmp_path)[0].step == 4


def test_file_keeps_its_size(tmp_path):
    sizes = set()
    for step in (1, 10**9):
        write(tmp_path, step=step)
        sizes.add((tmp_path / "processes" / "0.json").stat().st_size)
    assert len(sizes) == 1


def test_half_a_beat_is_no_beat(tmp_path):
    write(tmp_path)
    (tmp_path / "processes" / "1.json").write_text('{"run": 3, "ho')
    assert list(heartbeat.read(tmp_path)) == [0]


def test_living_process_holds_the_workdir(tmp_path):
    write(tmp_path, phase="step", step=5)
    with pytest.raises(ValueError, match=f"process {os.getpid()} on .* step 5") as told:
        claim(tmp_path)
    assert str(tmp_path) in str(told.value) and "another --workdir" in str(told.value)


def test_of_two_that_come_at_once_one_has_the_workdir(tmp_path):
    first = heartbeat.Claim(tmp_path)  # and shows no sign of life yet
    with pytest.raises(ValueError, match=f"process {os.getpid()} on .*just started"):
        claim(tmp_path)
    first.release()
    claim(tmp_path)


def test_ended_or_dead_process_does_not(tmp_path):
    claim(tmp_path)
    write(tmp_path, ended="finished")
    claim(tmp_path)
    # Its number may belong to another process by now, which started at another time.
    write(tmp_path, started=psutil.Process().create_time() - 100)
    claim(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    write(tmp_path, pid=child.pid, started=started)
    with pytest.raises(ValueError, match=f"process {child.pid}"):
        claim(tmp_path)
    child.kill()
    while heartbeat.read(tmp_path) and psutil.Process(child.pid).status() != "zombie":
        time.sleep(0.01)
    claim(tmp_path)  # dead, though nobody asked for its status
    child.communicate()


def test_process_of_another_host_is_watched_for_a_while(tmp_path, monkeypatch):
    beats = iter([1, 2])

    def sleep(seconds):
        write(tmp_path, host="elsewhere", beat=next(beats))

    monkeypatch.setattr(heartbeat.time, "sleep", sleep)
    write(tmp_path, host="elsewhere", beat=1)
    claim(tmp_path)  # silent
    with pytest.raises(ValueError, match="elsewhere"):
        claim(tmp_path)
