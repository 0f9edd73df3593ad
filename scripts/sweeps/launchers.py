"""Where runs are trained: on this machine, on TPU slices, or by SLURM."""

import collections
import dataclasses
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from perceiver_jax import extras
from scripts.sweeps.job import Job, Outcome, last_line
from scripts.sweeps.runs import Run
from scripts.sweeps.status import QUEUED, RUNNING, WAITING

submitit = extras.Library("submitit", extra="sweep")

JOBS = "jobs"  # in a sweep's folder: what submitit keeps of its jobs
UNLIMITED_MINUTES = 60 * 24 * 365  # of a local job
MOST_TIMEOUTS = 10_000  # jobs give up by themselves, where they get nowhere
SQUEUE_SECONDS = 5.0  # between two questions to SLURM


class Launcher(Protocol):
    """Starts runs, and knows which of them have not ended.

    Attributes:
      outlives: whether jobs go on after this process.
    """

    outlives: bool

    def start(self, runs: Sequence[Run]) -> None:
        """Starts runs, or queues them."""

    def poll(self) -> dict[str, str]:
        """Returns {name: state} of those that have not ended."""

    def stop(self) -> str:
        """Is called after Ctrl-C; returns what to tell."""


class Local:
    """Trains on this machine, so many at a time."""

    outlives = False

    def __init__(
        self,
        folder: pathlib.Path,
        parallel: int,
        gpus: int,
        command: Callable[[Run], list[str]],
    ):
        """Starts nothing yet.

        Args:
          folder: of the sweep.
          parallel: how many runs to train at the same time.
          gpus: how many each of them gets; 0: all see what this process sees.
          command: what trains a run.
        """
        self._folder, self._command = folder, command
        self.places = _places(parallel, gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
        self._waiting: collections.deque[Run] = collections.deque()
        self._running: dict[int, tuple[Run, Any]] = {}  # by the number of its place

    def start(self, runs: Sequence[Run]) -> None:
        """See `Launcher`."""
        self._waiting.extend(runs)

    def poll(self) -> dict[str, str]:
        """See `Launcher`; starts the next where one has ended."""
        for number, (run, job) in list(self._running.items()):
            if job.done():
                _check_outcome(run, job)
                del self._running[number]
        for number, place in enumerate(self.places):
            if self._waiting and number not in self._running:
                run = self._waiting.popleft()
                self._running[number] = run, self._submit(run, place)
        running = {run.name: RUNNING for run, _ in self._running.values()}
        return running | {run.name: WAITING for run in self._waiting}

    def stop(self) -> str:
        """Asks all to save and end."""
        self._waiting.clear()
        for _, job in self._running.values():
            os.kill(int(job.job_id), signal.SIGTERM)  # submitit forwards it
        return f"{len(self._running)} runs save and end; Ctrl-C again does not wait."

    def _submit(self, run: Run, place: Sequence[str]) -> Any:
        executor = submitit.AutoExecutor(self._folder / JOBS, cluster="local")
        executor.update_parameters(timeout_min=UNLIMITED_MINUTES)
        # Ctrl-C in the terminal reaches all processes, and submitit's would kill the
        # trainings before they have saved.
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            job = executor.submit(Job([*place, *self._command(run)], run.workdir))
        finally:
            signal.signal(signal.SIGINT, ours)
        Outcome(job.job_id).write(run.workdir)
        return job


def _places(parallel: int, gpus: int, visible: str | None) -> list[list[str]]:
    """Returns the beginning of the command in each place: which GPUs it may see.

    Raises:
      ValueError: there are too few.
    """
    if not gpus:  # submitit hides them all
        hidden = ["-u", "CUDA_VISIBLE_DEVICES"]
        seen = hidden if visible is None else [f"CUDA_VISIBLE_DEVICES={visible}"]
        return [["env", *seen]] * parallel
    names = list(map(str, range(parallel * gpus)))
    if visible is not None:
        names = visible.split(",") if visible else []
    if len(names) < parallel * gpus:
        raise ValueError(
            f"--parallel={parallel} runs with --gpus={gpus} each need "
            f"{parallel * gpus} GPUs, but CUDA_VISIBLE_DEVICES={visible} has "
            f"{len(names)}."
        )
    return [
        ["env", f"CUDA_VISIBLE_DEVICES={','.join(names[first : first + gpus])}"]
        for first in range(0, parallel * gpus, gpus)
    ]


class Slurm:
    """Trains as an array of jobs of SLURM, which go on without this process."""

    outlives = True

    def __init__(
        self,
        folder: pathlib.Path,
        runs: Sequence[Run],
        options: Mapping[str, Any],
    ):
        """Submits nothing yet.

        Args:
          folder: of the sweep, seen by all nodes.
          runs: of the sweep: also those that an earlier call submitted.
          options: of submitit.AutoExecutor.update_parameters.
        """
        self._folder, self._runs, self._options = folder, runs, options
        self._asked = -SQUEUE_SECONDS
        self._states: dict[str, str] = {}
        self._jobs: dict[str, Any] = {}

    def start(self, runs: Sequence[Run]) -> None:
        """See `Launcher`."""
        executor = submitit.AutoExecutor(
            self._folder / JOBS,
            cluster="slurm",
            slurm_max_num_timeout=MOST_TIMEOUTS,
        )
        executor.update_parameters(name=self._folder.name, **self._options)
        with executor.batch():
            jobs = [executor.submit(Job(run.command(), run.workdir)) for run in runs]
        for run, job in zip(runs, jobs):
            Outcome(job.job_id).write(run.workdir)
            self._jobs[run.name] = job
        self._asked = -SQUEUE_SECONDS

    def poll(self) -> dict[str, str]:
        """See `Launcher`."""
        if time.monotonic() - self._asked < SQUEUE_SECONDS:
            return self._states
        self._asked = time.monotonic()
        queue = _squeue()
        if queue is None:
            return self._states
        self._states = {}
        for run in self._runs:
            outcome = Outcome.read(run.workdir)
            if outcome and outcome.job in queue:
                is_running = queue[outcome.job] in ("RUNNING", "COMPLETING")
                self._states[run.name] = RUNNING if is_running else QUEUED
            elif run.name in self._jobs:
                _check_outcome(run, self._jobs.pop(run.name))
        return self._states

    def stop(self) -> str:
        """Stops nothing."""
        numbers = {job.job_id.partition("_")[0] for job in self._jobs.values()}
        return (
            f"The jobs go on. They save and end by: scancel {' '.join(sorted(numbers))}"
        )


def _squeue() -> dict[str, str] | None:
    """Returns {job: state} of this user's jobs, None where SLURM does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    return dict(line.split() for line in done.stdout.splitlines())


def _check_outcome(run: Run, job: Any) -> None:
    """Says why, where a job ended without telling."""
    outcome = Outcome.read(run.workdir)
    if outcome is None or outcome.exit_status is None:
        path = job.paths.stderr
        said = last_line(path) if path.exists() else ""
        message = said or f"job {job.job_id} is gone"
        Outcome(job.job_id, 1, message).write(run.workdir)


@dataclasses.dataclass(frozen=True)
class Tpu:
    """Trains each run on a slice of a TPU pod that is made for it, and deleted.

    Attributes:
      flags: of scripts.tpu: --zone, --type and others, but no --name.
    """

    flags: Sequence[str]

    def command(self, run: Run) -> list[str]:
        """Returns the command that trains a run."""
        name = re.sub(r"[^a-z0-9]+", "-", run.name.lower())[:40].strip("-")
        digest = hashlib.sha256(str(run.workdir).encode()).hexdigest()[:8]
        tpu = [sys.executable, "-m", "scripts.tpu", "run", *self.flags]
        return [*tpu, f"--name=sweep-{name}-{digest}", "--", *run.arguments]
