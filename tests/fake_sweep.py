"""Workdirs of a sweep as they look at some moment, without any training."""

import json
import pathlib
import socket
import time
from collections.abc import Sequence

import psutil

from perceiver_jax.cluster import heartbeat
from perceiver_jax.engine import writer
from scripts.sweeps import runs
from scripts.sweeps.runs import Run


def plan(
    folder: pathlib.Path, *points: dict[str, str], steps: str = "100"
) -> list[Run]:
    """Runs of the digits config."""
    return runs.plan(folder, "configs/digits.py", {"steps": steps}, points)


def beat(run: Run, **fields: object) -> None:
    """Writes the status file of a process: of this one, but for `fields`."""
    me = heartbeat.Beat(
        run=1,
        host=socket.gethostname(),
        pid=psutil.Process().pid,
        started=psutil.Process().create_time(),
        time=time.time(),
        phase="step",
        total_steps=100,
    )
    pulse = heartbeat.Pulse(run.workdir, 0)
    pulse.write(me._replace(**fields))
    pulse.close()


def measure(run: Run, losses: Sequence[float], scores: Sequence[float] = ()) -> None:
    """Writes metrics.jsonl: a loss every 10 steps, a score every 50."""
    rows = [
        {"step": 10 * i, "train/loss": loss, "steps_per_second": 2.0}
        for i, loss in enumerate(losses, 1)
    ]
    rows += [{"step": 50 * i, "score": score} for i, score in enumerate(scores, 1)]
    run.workdir.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) + "\n" for row in rows]
    (run.workdir / writer.METRICS).write_text("".join(lines))


def checkpoint(run: Run, step: int) -> None:
    """Makes the folder of a checkpoint."""
    (run.workdir / "checkpoints" / str(step)).mkdir(parents=True)
