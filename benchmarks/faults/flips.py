"""Checkpoints whose files are damaged: refused by name, or as good as before."""

import itertools
import json
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults import judge, runs
from benchmarks.faults.judge import Finished, Verdict
from benchmarks.faults.kills import ONE
from benchmarks.faults.runs import Kind, Place
from benchmarks.faults.table import Outcome
from experiments import program
from perceiver_jax.cluster import phases
from perceiver_jax.cluster.signals import UNFINISHED
from perceiver_jax.engine.checkpoints import checkpoint

OF_PROGRAMS = 6  # damages that whole programs are started for
REFUSED = "refused"
HARMLESS = "not used, or the same"


class Whole(NamedTuple):
    """A run's newest checkpoint, before it is damaged.

    Attributes:
      workdir: of the run.
      step: of the checkpoint.
      shapes: of its items, to restore into.
      arrays: all bits, {"item/name": bits}.
      about: what it says of itself.
      evaluation: its numbers.
    """

    workdir: pathlib.Path
    step: int
    shapes: Mapping[str, Any]
    arrays: Mapping[str, bytes]
    about: Mapping[str, Any]
    evaluation: Mapping[str, float]

    @classmethod
    def read(cls, workdir: pathlib.Path) -> "Whole":
        """Reads it."""
        saved = checkpoint.Checkpoints(workdir, read_only=True)
        step = max(saved.steps())
        shapes = {item: saved.abstract(step, item) for item in judge.ITEMS}
        arrays = judge.bits(saved.restore(step, **shapes))
        return cls(
            *(workdir, step, shapes, arrays, saved.about(step), saved.metrics(step))
        )

    def files(self) -> list[pathlib.Path]:
        """Returns the files of the checkpoint that hold anything."""
        folder = self.workdir / "checkpoints" / str(self.step)
        files = (path for path in folder.rglob("*") if path.is_file())
        return sorted(path for path in files if path.stat().st_size)

    def resume(self, workdir: pathlib.Path) -> bool:
        """Reads a copy as training does; returns whether it is the same."""
        saved = checkpoint.Checkpoints(workdir, read_only=True)
        step = max(saved.steps())
        found = (
            judge.bits(saved.restore(step, **self.shapes)),
            saved.about(step),
            saved.metrics(step),
        )
        return found == (self.arrays, self.about, self.evaluation)

    def evaluate(self, workdir: pathlib.Path) -> bool:
        """Reads a copy as evaluation does; returns whether it is the same."""
        variables, about, _ = checkpoint.load_variables(workdir)
        found = judge.bits({"variables": variables})
        wanted = {name: self.arrays[name] for name in found}
        return (found, about) == (wanted, self.about)


def flip_bit(path: pathlib.Path, rng: np.random.Generator) -> str:
    """Changes one bit of a file; returns which."""
    content = bytearray(path.read_bytes())
    place, bit = int(rng.integers(len(content))), int(rng.integers(8))
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {place} of {path.name}"


def truncate(path: pathlib.Path, rng: np.random.Generator) -> str:
    """Cuts a file short; returns where."""
    content = path.read_bytes()
    length = int(rng.integers(len(content)))
    path.write_bytes(content[:length])
    return f"{path.name} cut to {length} of {len(content)} bytes"


Damage = Callable[[pathlib.Path, np.random.Generator], str]


def _copies(
    whole: Whole,
    damage: Damage,
    tries: int,
    folder: pathlib.Path,
    rng: np.random.Generator,
) -> Iterator[tuple[pathlib.Path, str]]:
    """Yields copies of a run, each with another damage, and what that is.

    Of two, one is in the next of all files, one anywhere in all their bytes: small
    files are many, large ones hold the arrays.
    """
    files = whole.files()
    sizes = np.array([path.stat().st_size for path in files])
    turns = itertools.cycle(rng.permutation(len(files)))
    for number in range(tries):
        anywhere = rng.choice(len(files), p=sizes / sizes.sum())
        path = files[anywhere if number % 2 else next(turns)]
        copy = folder / f"run_{number}"
        shutil.copytree(whole.workdir, copy)
        yield copy, damage(copy / path.relative_to(whole.workdir), rng)
        shutil.rmtree(copy)


class Damaged(NamedTuple):
    """Damages a checkpoint, and reads it as training and evaluation do."""

    damage: Damage
    tries: int
    whole: Whole

    def run(self, folder: pathlib.Path, rng: np.random.Generator) -> list[Outcome]:
        """Returns two outcomes of each damage."""
        found = []
        case = DAMAGES[self.damage]
        for copy, what in _copies(self.whole, self.damage, self.tries, folder, rng):
            for reads, read in (
                ("resuming", self.whole.resume),
                ("evaluating", self.whole.evaluate),
            ):
                found.append(Outcome(f"{case}: {reads}", *_judge(read, copy, what)))
        return found


def _judge(
    read: Callable[[pathlib.Path], bool], copy: pathlib.Path, what: str
) -> Verdict:
    """Says whether a damaged copy is refused by name, or read as what it was."""
    try:
        if read(copy):
            return Verdict(judge.OK, HARMLESS)
        return Verdict(judge.WRONG, what)
    except program.EXPECTED as error:
        if str(copy) in str(error):
            return Verdict(judge.OK, REFUSED)
        return Verdict(judge.OTHER, f"{what}: not named in {str(error)[:200]}")
    except Exception as error:
        return Verdict(judge.OTHER, f"{what}: {error!r}"[:300])


DAMAGES: dict[Damage, str] = {flip_bit: "a bit flipped", truncate: "a file cut short"}


class ThroughPrograms(NamedTuple):
    """Damages a checkpoint, and has experiments.evaluate and .train use it.

    Attributes:
      whole: of a run that was stopped.
      cache: folder of compiled programs.
      wanted: the run, finished.
    """

    whole: Whole
    cache: pathlib.Path
    wanted: Finished

    def run(self, folder: pathlib.Path, rng: np.random.Generator) -> list[Outcome]:
        """Returns two outcomes of each damage."""
        right = self._evaluate(self.whole.workdir)
        found = []
        for copy, what in _copies(self.whole, flip_bit, OF_PROGRAMS, folder, rng):
            evaluated = self._evaluate(copy)
            same = Verdict(judge.OK, HARMLESS)
            if evaluated.numbers != right.numbers:
                same = Verdict(judge.WRONG, f"{what}: {evaluated.numbers}")
            refused = _refused(copy, what, evaluated.status, evaluated.said)
            verdict = refused or same
            found.append(Outcome("a bit flipped: experiments.evaluate", *verdict))

            with runs.started(ONE, Place(copy, folder, self.cache)) as (trainee,):
                status, said = trainee.process.wait(), trainee.said()
            refused = _refused(copy, what, status, said)
            verdict = refused or Finished.read(copy).compare(self.wanted)
            found.append(Outcome("a bit flipped: experiments.train", *verdict))
        return found

    def _evaluate(self, workdir: pathlib.Path) -> "_Evaluated":
        command = [sys.executable, "-m", "experiments.evaluate"]
        done = subprocess.run(
            [*command, f"--workdir={workdir}"],
            cwd=runs.ROOT,
            env=runs.environment(self.cache),
            capture_output=True,
            text=True,
        )
        numbers = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        numbers.pop("checkpoint", None)
        return _Evaluated(done.returncode, done.stderr, numbers)


class _Evaluated(NamedTuple):
    status: int
    said: str
    numbers: dict[str, Any]


def _refused(copy: pathlib.Path, what: str, status: int, said: str) -> Verdict | None:
    """Says how a program refused a damaged copy; None where it did not."""
    if status == 0:
        return None
    last = said.splitlines()[-1] if said else ""
    if status == 1 and str(copy) in last:
        return Verdict(judge.OK, REFUSED)
    return Verdict(judge.OTHER, f"{what}: status {status}, {last[:300]}")


def stopped_run(kind: Kind, place: Place) -> Whole:
    """Returns the newest checkpoint of a stopped run, made at the first call."""
    if not (place.logs / "stopped").exists():
        shutil.rmtree(place.workdir, ignore_errors=True)
        with runs.started(kind, place, "--config.stall_limit=600") as trainees:
            trainees[0].wait_for(phases.SAVE, 5)
            trainees[0].process.send_signal(signal.SIGTERM)
            for trainee in trainees:
                if trainee.process.wait() != UNFINISHED:
                    raise RuntimeError(trainee.said()[-2000:])
        (place.logs / "stopped").touch()
    return Whole.read(place.workdir)
