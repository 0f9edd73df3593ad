"""Runs of a small real task, as processes to be watched, killed and waited for."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import psutil

from benchmarks.faults import watched
from perceiver_jax.cluster import phases

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 300.0  # seconds that a start may take on a busy machine
HEARTBEAT_LIMIT = 10.0
STALL_LIMIT = 25.0
# What a process may take to leave: it misses others, and waits for their last words.
LEAVE_WITHIN = HEARTBEAT_LIMIT + 10.0

# Digits at the size of tests/programs.py, and a run of it: a start takes seconds.
TINY = (
    "--config=configs/digits.py",
    "--config.batch_size=16",
    "--config.eval_batch_size=60",
    "--config.model.num_bands=64",
    "--config.model.max_resolution=(224,224)",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.num_blocks=2",
    "--config.model.layers_per_block=1",
    "--config.steps=60",
    "--config.log_every=3",
    "--config.eval_every=15",
    "--config.checkpoint_every=5",
    f"--config.heartbeat_limit={HEARTBEAT_LIMIT}",
    f"--config.stall_limit={STALL_LIMIT}",
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a run is made.

    Attributes:
      name: of it, for people.
      processes: how many.
      flags: all but --workdir and who the others are.
    """

    name: str
    processes: int = 1
    flags: Sequence[str] = TINY


class Trainee:
    """One process of a run."""

    def __init__(
        self, arguments: Sequence[str], log: pathlib.Path, cache: pathlib.Path
    ):
        """Starts to train.

        Args:
          arguments: of experiments.train.
          log: file that gets what it says, after what is there.
          cache: folder of compiled programs.
        """
        phase_file = log.with_suffix(f".{time.monotonic_ns()}.phases")
        self._told = watched.create(phase_file)
        self.log = log
        self.began = time.time()
        with log.open("ab") as output:
            self._log_start = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.faults.watched", *arguments],
                cwd=ROOT,
                env=environment(cache) | {watched.FILE: str(phase_file)},
                stdout=output,
                stderr=output,
                start_new_session=True,  # by which its children are found
            )

    @property
    def phase(self) -> str:
        """What it does, or did when it ended."""
        return phases.PHASES[self._told[0]]

    def entered(self, phase: str) -> int:
        """How often it has entered a phase."""
        return int(self._told[1 + phases.PHASES.index(phase)])

    def wait_for(self, phase: str, times: int = 1) -> None:
        """Waits until it has entered a phase so often, or has ended."""
        waited(lambda: self.entered(phase) >= times or self.has_left(0), PATIENCE)

    @property
    def has_begun(self) -> bool:
        """Whether its first lines ran, which heed SIGTERM; also after its end."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return True
        (caught,) = (
            x.split()[1] for x in status.splitlines() if x.startswith("SigCgt")
        )
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def said(self) -> str:
        """What it printed."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def has_left(self, limit: float) -> bool:
        """Waits until it has ended, `limit` seconds at most."""
        return waited(lambda: self.process.poll() is not None, limit)

    def children_live_on(self, limit: float = 10.0) -> bool:
        """Whether processes that it started are there after its end."""
        session = self.process.pid
        return not waited(lambda: not list(_of_session(session)), limit, every=0.1)

    def end(self) -> None:
        """Ends it and its children, whatever they do."""
        for process in _of_session(self.process.pid):
            process.kill()
        self.process.wait()


def _of_session(session: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != "zombie":
                yield process
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def waited(condition: Callable[[], bool], limit: float, every: float = 0.002) -> bool:
    """Waits for a condition; returns whether it came to hold within `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def environment(cache: pathlib.Path) -> dict[str, str]:
    """What programs run in: one CPU device, and a folder of compiled programs."""
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }


class Place(NamedTuple):
    """Where a run is.

    Attributes:
      workdir: of it.
      logs: folder of what its processes say.
      cache: folder of compiled programs.
    """

    workdir: pathlib.Path
    logs: pathlib.Path
    cache: pathlib.Path


def start(
    kind: Kind, place: Place, *flags: str, of_last: Sequence[str] = ()
) -> list[Trainee]:
    """Starts all processes of a run; `of_last` are flags of the last one alone."""
    port = _free_port()
    trainees = []
    for index in range(kind.processes):
        who = []
        if kind.processes > 1:
            who = [
                f"--coordinator=127.0.0.1:{port}",
                f"--num_processes={kind.processes}",
                f"--process_id={index}",
            ]
        arguments = [*kind.flags, *who, *flags, f"--workdir={place.workdir}"]
        if index == kind.processes - 1:
            arguments += of_last
        log = place.logs / f"{place.workdir.name}.{index}.log"
        trainees.append(Trainee(arguments, log, place.cache))
    return trainees


@contextlib.contextmanager
def started(
    kind: Kind, place: Place, *flags: str, of_last: Sequence[str] = ()
) -> Iterator[list[Trainee]]:
    """As `start`; in the end ends those that are left."""
    trainees = start(kind, place, *flags, of_last=of_last)
    try:
        yield trainees
    finally:
        for trainee in trainees:
            trainee.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def finish(kind: Kind, place: Place) -> str:
    """Starts a run that is to finish; returns what went wrong, "" for nothing."""
    with started(kind, place) as trainees:
        for trainee in trainees:
            if not trainee.has_left(PATIENCE):
                return f"hung in phase {trainee.phase}"
            status = trainee.process.returncode
            if status:
                return f"status {status}: {trainee.said()[-300:]}"
    return ""
