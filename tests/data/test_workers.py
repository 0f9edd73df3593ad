"""Worker processes end with their program, in whatever way that ends."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from programs import ROOT

# Says when both workers have made a batch, and then waits for its end.
PROGRAM = """
import time
from absl import app
import numpy as np
from perceiver_jax.data import loader, sources

def keep(example, rng):
    return example

def main(_):
    source = sources.ArraySource(x=np.arange(8))
    batches = loader.TrainLoader(source, keep, 4, 0, num_workers=2).batches()
    next(batches), next(batches)
    print("ready", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    app.run(main)
"""


def processes():
    """{process: its parent} of all that run, as Linux tells it."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def test_no_process_is_left_of_a_program_that_was_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        parents = processes()
        children = {child for child in parents if parents[child] == process.pid}
        assert len(children) == 3  # two workers, and what tracks their memory
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while left := children & processes().keys():
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
