"""Workdirs that are full, can't be written, or are another trainer's."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.faults import judge, runs
from benchmarks.faults.judge import Finished, Verdict, judge_finished
from benchmarks.faults.kills import ONE
from benchmarks.faults.runs import Place, Trainee
from perceiver_jax.cluster import phases


class Scene(NamedTuple):
    """What a case needs.

    Attributes:
      folder: of its own.
      cache: folder of compiled programs.
      rng: of all that is random in it.
      wanted: what a run of it is when nothing happens.
    """

    folder: pathlib.Path
    cache: pathlib.Path
    rng: np.random.Generator
    wanted: Finished

    @property
    def place(self) -> Place:
        """Of its run."""
        return Place(self.folder / "run", self.folder, self.cache)


def refusal(trainee: Trainee, *reasons: str) -> Verdict:
    """Waits for an end with status 1, whose last line says one of some reasons."""
    if not trainee.has_left(runs.PATIENCE):
        return Verdict(judge.HUNG, f"in phase {trainee.phase}")
    said = trainee.said().splitlines()
    last = said[-1] if said else ""
    traces = sum(line.startswith("Traceback") for line in said)
    if trainee.process.returncode != 1:
        return Verdict(judge.OTHER, f"status {trainee.process.returncode}: {last}")
    if traces or not any(reason in last for reason in reasons):
        return Verdict(judge.OTHER, f"{traces} traces, then: {last}")
    return Verdict(judge.OK, last)


def full_disk(scene: Scene) -> Verdict:
    """A disk that is full from some save on; with more room the run goes on."""
    with _disk(scene.folder / "disk", "size=64m") as disk:
        place = scene.place._replace(workdir=disk / "run")
        ballast = disk / "ballast"
        with runs.started(ONE, place) as (trainee,):
            entry = int(scene.rng.integers(1, 5))
            trainee.wait_for(phases.SAVE, entry)
            _fill(ballast, left=int(scene.rng.integers(300_000)))
            verdict = refusal(trainee, "No space left", "full", "free")
        if verdict.verdict != judge.OK:
            return verdict
        ballast.unlink()
        return judge_finished(ONE, place, scene.wanted)


def _fill(path: pathlib.Path, left: int) -> None:
    """Writes all that a disk has room for but `left` bytes."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(16 * 1024))
    os.truncate(path, max(0, path.stat().st_size - left))


def read_only_disk(scene: Scene) -> Verdict:
    """A disk that is mounted to read only."""
    with _disk(scene.folder / "disk", "ro") as disk:
        place = scene.place._replace(workdir=disk / "run")
        with runs.started(ONE, place) as (trainee,):
            return refusal(trainee, "can't be written")


@contextlib.contextmanager
def _disk(folder: pathlib.Path, options: str) -> Iterator[pathlib.Path]:
    """Mounts a disk in memory, which only root may."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def second_trainer(scene: Scene) -> Verdict:
    """A second trainer on a workdir: refused, with the first one named."""
    with runs.started(ONE, scene.place) as (first,):
        first.wait_for(phases.STEP)
        logs = scene.folder / "second"
        logs.mkdir()
        with runs.started(ONE, scene.place._replace(logs=logs)) as (second,):
            verdict = refusal(second, f"process {first.process.pid} on ")
        if verdict.verdict != judge.OK:
            return verdict
        first.has_left(runs.PATIENCE)
        if first.process.returncode:
            return Verdict(judge.OTHER, f"the first one: {first.said()[-300:]}")
    return Finished.read(scene.place.workdir).compare(scene.wanted)


def two_at_once(scene: Scene) -> Verdict:
    """Two trainers at the same time: at most one stays, and nothing is mixed."""
    logs = scene.folder / "second"
    logs.mkdir()
    other = scene.place._replace(logs=logs)
    with runs.started(ONE, scene.place) as (a,), runs.started(ONE, other) as (b,):
        for trainee in (a, b):
            if not trainee.has_left(runs.PATIENCE):
                return Verdict(judge.HUNG, f"in phase {trainee.phase}")
        ends = sorted([a.process.returncode, b.process.returncode])
    if ends not in ([0, 1], [1, 1]):
        return Verdict(judge.OTHER, f"ended with {ends}: {b.said()[-300:]}")
    verdict = judge_finished(ONE, scene.place, scene.wanted)
    return verdict if verdict.detail else Verdict(judge.OK, f"ended with {ends}")


def torn_cache(scene: Scene) -> Verdict:
    """Compiled programs that were cut short, as by a kill or a full disk."""
    place = scene.place._replace(cache=scene.folder / "compiled")
    with runs.started(ONE, place) as (trainee,):
        trainee.wait_for(phases.SAVE)
    for path in place.cache.glob("*-cache"):
        length = int(scene.rng.integers(path.stat().st_size))
        os.truncate(path, length)
    return judge_finished(ONE, place, scene.wanted)
