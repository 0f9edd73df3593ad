"""Where the seconds of a run went, and how soon a restart takes its first step."""

import json
import signal
import statistics
import time
from typing import NamedTuple

from benchmarks.faults import runs
from benchmarks.faults.runs import TINY, Kind, Place
from perceiver_jax.cluster import phases
from perceiver_jax.engine import goodput
from perceiver_jax.engine.writer import read_metrics

ENDLESS = Kind("one process", 1, (*TINY, "--config.steps=1000000"))
LIFE = 28.0  # seconds of a start, at least: half a beat, unknown at a kill, is small
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL)

FIRST_STEPS = {
    "digits": ("--config=configs/digits.py",),
    "masked_lm:docs": ("--config=configs/masked_lm.py:docs",),
}


class Counted(NamedTuple):
    """Seconds of a run that was killed: counted by it, and those it really lived."""

    by_phase: dict[str, float]
    lived: float

    @property
    def error(self) -> float:
        """How far both are apart, as a share."""
        return sum(self.by_phase.values()) / self.lived - 1


def count_seconds(place: Place) -> Counted:
    """Kills a run five times, stops it, and compares its seconds with a watch."""
    lived = 0.0
    for number in (*KILLS, signal.SIGTERM):
        start = time.monotonic()
        with runs.started(ENDLESS, place) as (trainee,):
            trainee.wait_for(phases.SAVE)
            time.sleep(max(0.0, LIFE - (time.monotonic() - start)))
            trainee.process.send_signal(number)
            trainee.process.wait()
            lived += time.monotonic() - start
    steps = json.loads((place.workdir / goodput.FILE).read_text())["steps"]
    return Counted(list(steps.values())[-1]["seconds"], lived)


def first_steps(place: Place) -> dict[str, dict[str, float]]:
    """Seconds from a process's start to the end of its first step, cold and warm."""
    found = {}
    for name, flags in FIRST_STEPS.items():
        kind = Kind(name, 1, (*flags, "--config.log_every=1"))
        at = Place(place.workdir / name, place.logs, place.cache / name)
        cold = _first_step(kind, at)
        warm = statistics.median(_first_step(kind, at) for _ in range(3))
        found[name] = {"cold": cold, "warm": warm, "ratio": warm / cold}
    return found


def _first_step(kind: Kind, place: Place) -> float:
    before = _last_row(place)
    start = time.monotonic()
    with runs.started(kind, place) as (trainee,):
        while _last_row(place) <= before:
            if trainee.process.poll() is not None:
                raise RuntimeError(trainee.said()[-2000:])
            time.sleep(0.01)
        seconds = time.monotonic() - start
        trainee.process.send_signal(signal.SIGTERM)  # saves the step
        trainee.process.wait()
    return seconds


def _last_row(place: Place) -> float:
    try:
        return max((row["step"] for row in read_metrics(place.workdir)), default=0)
    except FileNotFoundError:
        return 0


def report(place: Place) -> str:
    """Measures both, and returns tables."""
    counted = count_seconds(place)
    rows = [f"| {name} | {s:.1f} |" for name, s in counted.by_phase.items()]
    total = sum(counted.by_phase.values())
    lines = [
        f"Seconds of a run with {len(KILLS)} kills, as it counts them ({total:.1f}), "
        f"and as its processes lived ({counted.lived:.1f}): {counted.error:+.2%}.",
        "",
        "| phase | seconds |",
        "| --- | --- |",
        *rows,
        "",
        "Seconds from a process's start to the end of its first step: with nothing "
        "compiled yet, and started again:",
        "",
        "| run | cold | warm | warm / cold |",
        "| --- | --- | --- | --- |",
    ]
    for name, s in first_steps(place).items():
        row = f"| {name} | {s['cold']:.1f} | {s['warm']:.1f} | {s['ratio']:.2f} |"
        lines.append(row)
    return "\n".join(lines)
