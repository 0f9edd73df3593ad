"""How a run stands, read from its workdir: from here or from anywhere, at any time."""

import functools
import math
import pathlib
import time
from typing import NamedTuple

from perceiver_jax.cluster import heartbeat
from perceiver_jax.cluster.heartbeat import Beat
from perceiver_jax.engine import writer
from scripts.sweeps.job import Outcome
from scripts.sweeps.runs import Run

WAITING = "waiting"
QUEUED = "queued"  # by SLURM
RUNNING = "running"
FINISHED = "finished"
STOPPED = "stopped"  # asked to, and saved
KILLED = "killed"
FAILED = "failed"
CHANGED = "changed"  # begun with another config

# Without a beat for so long, a process elsewhere counts as killed; clocks may differ.
SILENT_SECONDS = 60.0

LOSS, SCORE, RATE = "train/loss", "score", "steps_per_second"  # in metrics.jsonl


class Status(NamedTuple):
    """What a run does, and why."""

    state: str
    note: str = ""
    step: int = 0
    total_steps: int = 0  # 0: not known yet


class Measured(NamedTuple):
    """The numbers of a run.

    Attributes:
      rows: of its metrics.jsonl.
      last: the last value of each metric.
      best: the largest score, NaN where there is none.
      best_step: the step of it.
    """

    rows: list[dict[str, float]]
    last: dict[str, float]
    best: float = math.nan
    best_step: int = 0

    def curve(self, metric: str) -> tuple[list[float], list[float]]:
        """Returns steps and values of a metric."""
        points = [(row["step"], row[metric]) for row in self.rows if metric in row]
        return [step for step, _ in points], [value for _, value in points]


def status(run: Run, job: str = "") -> Status:
    """Returns how a run stands.

    Args:
      run: which.
      job: state of its job: WAITING, QUEUED or RUNNING; "" where there is none.
    """
    beat = heartbeat.read(run.workdir).get(0)
    step, total = (beat.step, beat.total_steps) if beat else (0, run.config["steps"])
    changes = run.changes()
    if changes:
        told = [
            f"{field} {then!r}, now {now!r}" for field, (then, now) in changes.items()
        ]
        return Status(CHANGED, f"begun with {'; '.join(told)}", step, total)
    if beat and beat.ended == "finished" and step == total:
        return Status(FINISHED, "", step, total)
    if beat and not beat.ended and is_alive(beat):
        return Status(RUNNING, beat.phase, step, total)
    if job:
        return Status(job, "starts" if job == RUNNING else "", step, total)
    outcome = Outcome.read(run.workdir)
    if beat is None:
        if outcome is None or outcome.exit_status in (None, 0):
            return Status(WAITING, "", step, total)
        return Status(FAILED, outcome.message, step, total)
    if not beat.ended:
        return Status(KILLED, f"in phase '{beat.phase}'", step, total)
    state = FAILED if beat.ended == "failed" else STOPPED
    return Status(state, beat.message, step, total)


def is_alive(beat: Beat) -> bool:
    """Whether the process of a beat lives, as far as can be known from here."""
    alive = heartbeat.is_alive(beat)
    if alive is None:
        return time.time() - beat.time < SILENT_SECONDS
    return alive


def measure(workdir: pathlib.Path) -> Measured:
    """Returns the numbers of a run, none where it wrote none."""
    try:
        file = (workdir / writer.METRICS).stat()
    except FileNotFoundError:
        return Measured([], {})
    return _measure(workdir, file.st_mtime_ns, file.st_size)


@functools.lru_cache(maxsize=1000)
def _measure(workdir: pathlib.Path, time_ns: int, size: int) -> Measured:
    """Reads a file once, until it changes."""
    del time_ns, size
    rows = writer.read_metrics(workdir)
    last: dict[str, float] = {}
    for row in rows:
        last |= row
    scores = [
        (row[SCORE], -row["step"])
        for row in rows
        if not math.isnan(row.get(SCORE, math.nan))
    ]
    best, step = max(scores, default=(math.nan, 0))
    return Measured(rows, last, best, -int(step))


def seconds_left(standing: Status, measured: Measured) -> float:
    """Returns how long a run still takes by its last rate, NaN if that isn't known."""
    rate = measured.last.get(RATE, 0.0)
    if standing.state != RUNNING or not rate:
        return math.nan
    return (standing.total_steps - standing.step) / rate
