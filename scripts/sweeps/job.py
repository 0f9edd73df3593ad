"""What a job does: it trains one run, and starts it again while that gets on.

Its process needs no JAX, so it starts at once and takes little memory.
"""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time
from typing import Any, NamedTuple

from perceiver_jax import extras
from perceiver_jax.cluster import signals

submitit = extras.Library("submitit", "helpers", extra="sweep")

LOG = "log.txt"  # in a workdir: what all trainings of the run said
FRUITLESS = 3  # starts in a row without a new checkpoint, before a job gives up

_POLL_SECONDS = 0.1


class Outcome(NamedTuple):
    """What became of the job of a run: WORKDIR/job.json."""

    job: str  # as SLURM or submitit calls it
    exit_status: int | None = None  # None: it has not ended
    message: str = ""  # the last line of its log

    def write(self, workdir: pathlib.Path) -> None:
        """Writes it into a workdir."""
        path = workdir / "job.json"
        new = path.with_suffix(".tmp")
        new.write_text(json.dumps(self._asdict()) + "\n")
        new.replace(path)

    @classmethod
    def read(cls, workdir: pathlib.Path) -> "Outcome | None":
        """Returns that of a workdir, None where it never had a job."""
        path = workdir / "job.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None


@dataclasses.dataclass
class Job:
    """Trains a run. submitit runs it, and calls checkpoint() before time is over.

    Attributes:
      command: that trains; ends with 75 where it was stopped and wants to go on.
      workdir: of the run.
      fruitless: starts in a row that made no checkpoint.
    """

    command: list[str]
    workdir: pathlib.Path
    fruitless: int = 0

    def __call__(self) -> int:
        """Trains to the end; returns the exit status of the last training."""
        self._process: subprocess.Popen | None = None
        self._is_asked = False
        self._newest = 0  # checkpoint, when this training began
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        environment = submitit.JobEnvironment()
        rank = environment.global_rank  # of a run on several nodes
        log = self.workdir / (f"log_{rank}.txt" if rank else LOG)
        status = signals.UNFINISHED
        while status == signals.UNFINISHED and not self._is_asked:
            if self.fruitless >= FRUITLESS:
                break
            status = self._train(log)
            self._count()
        if not rank:
            Outcome(environment.job_id, status, last_line(log)).write(self.workdir)
        return status

    def checkpoint(self) -> Any:
        """Stops the training, and returns the job that goes on; None to give up."""
        self._stop()
        while self._process and self._process.poll() is None:
            time.sleep(_POLL_SECONDS)
        self._count()
        if self.fruitless >= FRUITLESS:
            return None
        again = Job(self.command, self.workdir, self.fruitless)
        return submitit.helpers.DelayedSubmission(again)

    def _train(self, log: pathlib.Path) -> int:
        self._newest = newest_step(self.workdir)
        with log.open("ab") as file:
            # SLURM sends its warning to all processes of a job; this one sees to it.
            ours = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            # In a session of its own, so that Ctrl-C in the terminal is for the sweep.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
            signal.signal(signal.SIGUSR2, ours)
        if self._is_asked:  # meanwhile
            self._process.terminate()
        # wait() would hold a lock that checkpoint(), in a signal's handler, needs.
        while self._process.poll() is None:
            time.sleep(_POLL_SECONDS)
        return self._process.returncode

    def _stop(self) -> None:
        self._is_asked = True
        if self._process is not None:
            self._process.terminate()

    def _count(self) -> None:
        is_new = newest_step(self.workdir) > self._newest
        self.fruitless = 0 if is_new else self.fruitless + 1


def newest_step(workdir: pathlib.Path) -> int:
    """Returns the step of the newest checkpoint, 0 where there is none."""
    folders = (workdir / "checkpoints").glob("[0-9]*")
    return max((int(path.name) for path in folders if path.name.isdigit()), default=0)


def last_line(log: pathlib.Path) -> str:
    """Returns the last line of a log that says something."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
