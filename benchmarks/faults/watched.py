"""`experiments.train`, which besides tells its phase in a file that outlives it.

A beat is written once a second; a phase may last a millisecond. The file is mapped into
memory, so that it says what the process was doing when SIGKILL ended it.
"""

# ruff: noqa: E402
from perceiver_jax.cluster import signals

signals.end_when_asked()  # first of all, as in experiments.train

import os
import pathlib
import runpy

import numpy as np

from perceiver_jax.cluster import phases

FILE = "PHASE_FILE"  # the environment variable that names it


def create(path: pathlib.Path) -> np.memmap:
    """Makes the file: the current phase, then how often each was entered."""
    return np.memmap(path, np.int64, "w+", shape=1 + len(phases.PHASES))


def _tell() -> None:
    told = np.memmap(os.environ[FILE], np.int64, "r+", shape=1 + len(phases.PHASES))
    switch = phases.Clock.switch

    def switch_and_tell(clock: phases.Clock, name: str) -> None:
        switch(clock, name)
        told[0] = phases.PHASES.index(name)
        told[1 + told[0]] += 1

    phases.Clock.switch = switch_and_tell  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    _tell()
    runpy.run_module("experiments.train", run_name="__main__", alter_sys=True)
