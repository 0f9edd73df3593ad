"""Runs that are killed at random moments, again and again, until they are finished."""

import dataclasses
import json
import pathlib
import shutil
import signal
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.faults import judge, runs
from benchmarks.faults.judge import Finished, Verdict, judge_finished
from benchmarks.faults.runs import Kind, Place, Trainee
from perceiver_jax.cluster import heartbeat, phases
from perceiver_jax.cluster.signals import UNFINISHED
from perceiver_jax.engine import goodput

ONE = Kind("one process")
WORKERS = Kind("one with data workers", 1, (*runs.TINY, "--config.data.num_workers=2"))
TWO = Kind("two processes", 2)
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS_OF_A_RUN = 8
# Of those phases that a start enters often, the kill is in one of these. For most
# batches nothing waits: the first one takes a while.
ENTRIES = {phases.DATA: (1, 1, 1, 5), phases.STEP: range(1, 9), phases.SAVE: (1, 2)}
FIRST_BATCH = 0.05  # seconds, of one that takes long
LEAVE_AFTER_SIGNAL = 30.0  # seconds, on a busy machine
BEFORE = "before our first line"
ALONE = 3.0  # seconds that a process waits for one that died at its start


class Shot(NamedTuple):
    """A kill.

    Attributes:
      phase: in which the process was.
      number: the signal.
      is_mid_write: whether a checkpoint was left half-written.
      seconds: until all processes had ended.
      verdict: whether all ended as they should.
    """

    phase: str
    number: int
    is_mid_write: bool
    seconds: float
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Aim:
    """When to kill which process of a run.

    Attributes:
      victim: which process.
      number: the signal.
      phase: in which it is to be.
      entry: the how-maniest time.
      delay: seconds from there on, or from the start of the process.
    """

    victim: int
    number: int
    phase: str
    entry: int
    delay: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, kind: Kind, seconds: Mapping[str, float]
    ) -> "Aim":
        """Draws one; `seconds` are what a phase takes each time, about."""
        phase = str(rng.choice(phases.PHASES))
        return cls(
            victim=int(rng.integers(kind.processes)),
            number=int(rng.choice(SIGNALS)),
            phase=phase,
            entry=int(rng.choice(ENTRIES.get(phase, (1,)))),
            delay=rng.uniform(
                0, FIRST_BATCH if phase == phases.DATA else seconds[phase]
            ),
        )

    def shoot(self, trainees: list[Trainee], workdir: pathlib.Path) -> Shot | None:
        """Kills the victim, and waits for all; None where the run is over before."""
        victim = trainees[self.victim]
        if self.phase != phases.START:
            victim.wait_for(self.phase, self.entry)
        time.sleep(self.delay)
        if victim.has_left(0):
            return self._missed(trainees, victim.phase)
        phase = victim.phase if victim.has_begun else BEFORE
        pids = {beat.pid for beat in heartbeat.read(workdir).values()}
        joined = pids >= {trainee.process.pid for trainee in trainees}
        start = time.monotonic()
        victim.process.send_signal(self.number)
        verdict = self._ends(trainees, victim, phase, joined)
        seconds = time.monotonic() - start
        if self.number == signal.SIGKILL and phase != BEFORE:
            phase = victim.phase  # at its very end
        half = any(
            folder.stat().st_mtime > victim.began
            for folder in (workdir / "checkpoints").glob("*tmp*")
        )
        return Shot(phase, self.number, half, seconds, verdict)

    def _missed(self, trainees: list[Trainee], phase: str) -> Shot | None:
        """Waits until all processes, of which one has ended by itself, have."""
        for trainee in trainees:
            if not trainee.has_left(runs.LEAVE_WITHIN):
                verdict = Verdict(judge.HUNG, f"after another ended in {phase}")
                return Shot(phase, 0, False, 0.0, verdict)
            verdict = _ended(trainee, {0}, phase)
            if verdict.detail:
                return Shot(phase, 0, False, 0.0, verdict)
        return None

    def _ends(
        self, trainees: list[Trainee], victim: Trainee, phase: str, joined: bool
    ) -> Verdict:
        """Waits until all processes have ended, and says whether as they should."""
        if not victim.has_left(LEAVE_AFTER_SIGNAL):
            return Verdict(judge.HUNG, f"signal {self.number} in phase {phase}")
        may_end_with = {UNFINISHED, 0}  # the run may just have been finished
        if self.number == signal.SIGKILL:
            may_end_with = {-signal.SIGKILL}
        elif phase == BEFORE:
            may_end_with |= {-self.number, 1}  # Python's own
        verdict = _ended(victim, may_end_with, phase)
        may_end_with = {UNFINISHED, 0}
        if self.victim == 0:  # which JAX's own service was in
            may_end_with |= {-signal.SIGABRT}
        for other in trainees:
            if not verdict.detail and other is not victim:
                verdict = _follows(other, may_end_with, phase, joined)
        return verdict


def _follows(
    other: Trainee, may_end_with: set[int], phase: str, joined: bool
) -> Verdict:
    """Waits until a process has ended since another did, in a phase."""
    if not other.has_left(runs.LEAVE_WITHIN if joined else ALONE):
        if joined:
            return Verdict(judge.HUNG, f"the other, of one killed in phase {phase}")
        # It waits for one that died before it joined: launchers end it.
        other.process.send_signal(signal.SIGTERM)
        if not other.has_left(LEAVE_AFTER_SIGNAL):
            return Verdict(judge.HUNG, "alone at the start, after SIGTERM too")
    return _ended(other, may_end_with, phase)


def _ended(trainee: Trainee, may_end_with: set[int], phase: str) -> Verdict:
    status = trainee.process.returncode
    if status not in may_end_with:
        said = trainee.said()[-300:]
        return Verdict(judge.OTHER, f"status {status}, killed in phase {phase}: {said}")
    if trainee.children_live_on():
        return Verdict(judge.OTHER, f"its workers live on, killed in phase {phase}")
    return Verdict()


class Undisturbed(NamedTuple):
    """A run that nothing happened to.

    Attributes:
      finished: what it has to show.
      seconds: that a phase took each time, about.
    """

    finished: Finished
    seconds: Mapping[str, float]

    @classmethod
    def make(cls, kind: Kind, place: Place) -> "Undisturbed":
        """Makes it twice: the second time finds all compiled, as restarts do.

        What an earlier start of the campaign made is used.
        """
        kept = place.logs / "seconds.json"
        if not kept.exists():
            cold = place._replace(workdir=place.workdir.with_name("cold"))
            _run_alone(kind, cold)
            kept.write_text(json.dumps(_run_alone(kind, place)))
        return cls(Finished.read(place.workdir), json.loads(kept.read_text()))


def _run_alone(kind: Kind, place: Place) -> dict[str, float]:
    """Trains in a new workdir; returns how long a phase took each time."""
    shutil.rmtree(place.workdir, ignore_errors=True)
    # Compiling takes as long as it takes.
    with runs.started(kind, place, "--config.stall_limit=600") as trainees:
        for trainee in trainees:
            trainee.process.wait()
            if trainee.process.returncode:
                raise RuntimeError(trainee.said()[-2000:])
    counted = json.loads((place.workdir / goodput.FILE).read_text())["steps"]
    seconds = list(counted.values())[-1]["seconds"]
    entries = {phase: trainees[0].entered(phase) or 1 for phase in phases.PHASES}
    entries[phases.START] = 1  # it comes back between other phases
    return {phase: seconds[phase] / times for phase, times in entries.items()}


class Killed(NamedTuple):
    """A run that was killed again and again: its kills, and what became of it."""

    shots: list[Shot]
    verdict: Verdict


def kill_until_finished(
    kind: Kind, place: Place, rng: np.random.Generator, undisturbed: Undisturbed
) -> Killed:
    """Kills a run KILLS_OF_A_RUN times, finishes it, and compares it."""
    shots: list[Shot] = []
    while len(shots) < KILLS_OF_A_RUN:
        with runs.started(kind, place) as trainees:
            aim = Aim.draw(rng, kind, undisturbed.seconds)
            shot = aim.shoot(trainees, place.workdir)
        if shot is None:
            break
        shots.append(shot)
    return Killed(shots, judge_finished(kind, place, undisturbed.finished))
