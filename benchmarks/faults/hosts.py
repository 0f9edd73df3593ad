"""Runs in which data or a process of several hangs or fails."""

import contextlib
import os
import pathlib
import shutil
import signal
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image
from sklearn import datasets

from benchmarks.faults import judge, runs
from benchmarks.faults.disks import Scene, refusal
from benchmarks.faults.judge import Verdict, judge_finished
from benchmarks.faults.kills import TWO
from benchmarks.faults.runs import TINY, Kind, Trainee
from perceiver_jax.cluster import phases
from perceiver_jax.cluster.signals import UNFINISHED

FEW = 40  # images to train on: each is read every few steps
SILENT_FOR = runs.HEARTBEAT_LIMIT + 10.0  # seconds until others must have left
STUCK_FOR = runs.STALL_LIMIT + 60.0  # what was read before is used first


def write_images(folder: pathlib.Path) -> None:
    """Writes digits as files, FOLDER/train/CLASS/NUMBER.png and FOLDER/test/..."""
    shutil.rmtree(folder, ignore_errors=True)  # it may have been left broken
    digits = datasets.load_digits()
    for number in range(2 * FEW):
        split = "train" if number < FEW else "test"
        label = number % 10
        path = folder / split / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        index = int(np.flatnonzero(digits.target == label)[number // 10])
        pixels = digits.images[index] * (255 / 16)
        Image.fromarray(pixels.round().astype(np.uint8)).save(path)


def of_images(kind: Kind, folder: pathlib.Path) -> Kind:
    """Returns a kind of run that is trained on files of images."""
    flags = ("--config.data.source=folder", f"--config.data.dir={folder}")
    splits = ("--config.data.train_split=train", "--config.data.eval_split=test")
    few = ("--config.eval_batch_size=20",)
    return Kind(f"{kind.name}, files", kind.processes, (*TINY, *flags, *splits, *few))


@contextlib.contextmanager
def broken(folder: pathlib.Path, make: str) -> Iterator[pathlib.Path]:
    """For a while one training image is missing, or a pipe that nobody writes to."""
    path = folder / "train" / "7" / "7.png"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    if make == "pipe":
        os.mkfifo(path)
    try:
        yield path
    finally:
        aside.replace(path)


def _wait_for_steps(trainees: list[Trainee]) -> None:
    """Waits until all processes have compiled, which may take long."""
    for trainee in trainees:
        trainee.wait_for(phases.STEP)


def data_that_hangs(scene: Scene, kind: Kind, images: pathlib.Path) -> Verdict:
    """Reading hangs: all leave within the limit, say so, and the run can go on."""
    with runs.started(kind, scene.place) as trainees:
        _wait_for_steps(trainees)
        with broken(images, "pipe"):
            verdict = _leave(trainees, STUCK_FOR, {1, UNFINISHED}, "No batch", "data")
    return _goes_on(scene, kind, verdict)


def asked_while_data_hang(scene: Scene, kind: Kind, images: pathlib.Path) -> Verdict:
    """Reading hangs, and the process is asked to stop: it does at once."""
    with runs.started(kind, scene.place) as trainees:
        _wait_for_steps(trainees)
        with broken(images, "pipe"):
            time.sleep(3.0)  # by then it hangs
            number = int(scene.rng.choice([signal.SIGTERM, signal.SIGINT]))
            trainees[0].process.send_signal(number)
            verdict = _leave(trainees, STUCK_FOR, {UNFINISHED}, "Asked to stop")
    return _goes_on(scene, kind, verdict)


def data_that_fails(scene: Scene, kind: Kind, images: pathlib.Path) -> Verdict:
    """A file is gone: it is named, and the run goes on once it is back."""
    with runs.started(kind, scene.place) as trainees:
        _wait_for_steps(trainees)
        with broken(images, "nothing") as path:
            verdict = _leave(trainees, STUCK_FOR, {1}, str(path))
    return _goes_on(scene, kind, verdict)


def stopped_process(scene: Scene) -> Verdict:
    """One of two is stopped: the other leaves; so does it, once it goes on."""
    victim = int(scene.rng.integers(2))
    with runs.started(TWO, scene.place) as trainees:
        stopped, other = trainees[victim], trainees[1 - victim]
        _wait_for_steps(trainees)
        stopped.process.send_signal(signal.SIGSTOP)
        verdict = _leave([other], SILENT_FOR, {UNFINISHED}, f"Process {victim} of")
        stopped.process.send_signal(signal.SIGCONT)
        if verdict.verdict == judge.OK:
            ends = {UNFINISHED, -signal.SIGABRT}  # which is how JAX ends those behind
            verdict = _leave([stopped], SILENT_FOR, ends, "")
    return _goes_on(scene, TWO, verdict)


def started_unlike(scene: Scene) -> Verdict:
    """Processes of different configs: all refuse, and say who differs."""
    with runs.started(TWO, scene.place, of_last=["--config.seed=1"]) as trainees:
        for trainee in trainees:
            verdict = refusal(trainee, "seed=1")
            if verdict.verdict != judge.OK:
                break
    return verdict


def _leave(
    trainees: list[Trainee], limit: float, statuses: set[int], *reasons: str
) -> Verdict:
    """Waits until all have left, with one of some statuses; one says all reasons."""
    start = time.monotonic()
    for number, trainee in enumerate(trainees):
        if not trainee.has_left(max(0.0, limit - (time.monotonic() - start))):
            return Verdict(judge.HUNG, f"process {number} in phase {trainee.phase}")
        status = trainee.process.returncode
        if status not in statuses:
            last = trainee.said()[-300:]
            return Verdict(judge.OTHER, f"process {number}, status {status}: {last}")
    ends = [trainee.process.returncode for trainee in trainees]
    said = "".join(trainee.said() for trainee in trainees)
    if not any(reason in said for reason in reasons):
        return Verdict(judge.OTHER, f"status {ends}, not told why: {said[-300:]}")
    seconds = time.monotonic() - start
    return Verdict(judge.OK, f"status {ends} after {seconds:.1f} s")


def _goes_on(scene: Scene, kind: Kind, verdict: Verdict) -> Verdict:
    """Finishes a run that ended as it should have, and compares it."""
    if verdict.verdict != judge.OK:
        return verdict
    after = judge_finished(kind, scene.place, scene.wanted)
    return after if after.verdict != judge.OK else verdict


OF_DATA = {
    "reading data hangs": data_that_hangs,
    "asked to stop while data hang": asked_while_data_hang,
    "a file of the data is gone": data_that_fails,
}
