"""The parts of the campaign, and how they are done: some at a time, each once."""

import concurrent.futures
import dataclasses
import functools
import itertools
import pathlib
import shutil
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.faults import disks, flips, hosts, judge, kills
from benchmarks.faults.disks import Scene
from benchmarks.faults.judge import Verdict
from benchmarks.faults.kills import ONE, TWO, WORKERS, Undisturbed
from benchmarks.faults.runs import Kind, Place
from benchmarks.faults.table import Log, Outcome

KILLED = (ONE, TWO, ONE, WORKERS, ONE)  # kinds of runs, in turn


class Job(NamedTuple):
    """A part of the campaign.

    Attributes:
      name: of it, and of its folder.
      run: does it in a folder, with a generator of its own.
    """

    name: str
    run: Callable[[pathlib.Path, np.random.Generator], list[Outcome]]


@dataclasses.dataclass(frozen=True)
class Campaign:
    """All parts, in a folder.

    Attributes:
      folder: of all runs.
      seed: of all that is random.
      log: of what is done.
    """

    folder: pathlib.Path
    seed: int
    log: Log

    @property
    def cache(self) -> pathlib.Path:
        """The folder of compiled programs, which all runs share."""
        return self.folder / "compiled"

    def place(self, name: str) -> Place:
        """Returns where a run is, in a folder that is made."""
        folder = self.folder / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        return Place(folder / "run", folder, self.cache)

    def undisturbed(self, kind: Kind) -> Undisturbed:
        """Returns a run that nothing happened to, made at the first call."""
        return Undisturbed.make(kind, self.place(f"undisturbed/{kind.name}"))

    def do(self, jobs: Iterator[Job], lanes: int = 2) -> None:
        """Does those jobs that are not done yet, so many at a time."""
        lock = threading.Lock()

        def lane() -> None:
            while True:
                with lock:
                    job = next(jobs, None)
                if job is None:
                    return
                if job.name not in self.log.parts:
                    self.log.add(job.name, self._do(job))

        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            for done in [pool.submit(lane) for _ in range(lanes)]:
                done.result()

    def _do(self, job: Job) -> list[Outcome]:
        folder = self.folder / job.name.replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)  # of a start that was cut short
        folder.mkdir(parents=True)
        rng = np.random.default_rng([self.seed, zlib.crc32(job.name.encode())])
        try:
            outcomes = job.run(folder, rng)
        except Exception as error:  # such as of a run whose files can't be read
            outcomes = [Outcome(job.name, judge.OTHER, repr(error)[:500])]
        if all(outcome.verdict == judge.OK for outcome in outcomes):
            shutil.rmtree(folder)  # what went wrong can be looked at
        return outcomes

    def kills(self, wanted: int) -> Iterator[Job]:
        """Yields runs to kill, until there were so many kills."""
        ready = {ONE.name: self.undisturbed(ONE), TWO.name: self.undisturbed(TWO)}
        ready[WORKERS.name] = ready[ONE.name]  # the data are the same
        for number, kind in enumerate(itertools.cycle(KILLED)):
            if sum(bool(outcome.signal) for outcome in self.log.outcomes()) >= wanted:
                return
            job = _Killed(kind, self.cache, ready[kind.name])
            yield Job(f"kills/{number:03} {kind.name}", job.run)

    def flips(self, bits: int) -> Iterator[Job]:
        """Yields damages: flipped bits, and a fifth as many files cut short."""
        for kind in (ONE, TWO):
            whole = flips.stopped_run(kind, self.place(f"stopped/{kind.name}"))
            wanted = self.undisturbed(ONE).finished
            for damage, tries in (
                (flips.flip_bit, bits // 2),
                (flips.truncate, bits // 10),
            ):
                job = flips.Damaged(damage, tries, whole)
                yield Job(f"flips/{damage.__name__} of {kind.name}", job.run)
            if kind == ONE:
                programs = flips.ThroughPrograms(whole, self.cache, wanted)
                yield Job("flips/programs", programs.run)

    def cases(self, tries: int) -> Iterator[Job]:
        """Yields all other cases, each so often."""
        one, two = self.undisturbed(ONE).finished, self.undisturbed(TWO).finished
        cases = [
            ("a disk gets full; then it has room", disks.full_disk, one),
            ("a disk that is read-only", disks.read_only_disk, one),
            ("a second trainer on a workdir", disks.second_trainer, one),
            ("two trainers at once on a workdir", disks.two_at_once, one),
            ("compiled programs that were cut short", disks.torn_cache, one),
            ("one of two processes is stopped", hosts.stopped_process, two),
            ("two processes of different configs", hosts.started_unlike, two),
        ]
        for title, case, wanted in cases:
            for number in range(tries):
                job = _Case(title, case, self.cache, wanted)
                yield Job(f"cases/{title} {number}", job.run)

    def data(self, tries: int) -> Iterator[Job]:
        """Yields cases of data on files, which one run at a time may break."""
        images = self.folder / "images"
        hosts.write_images(images)
        for kind in (hosts.of_images(ONE, images), hosts.of_images(TWO, images)):
            wanted = self.undisturbed(kind).finished
            for what, breaks in hosts.OF_DATA.items():
                title = f"{what}, {kind.name}"
                case = functools.partial(breaks, kind=kind, images=images)
                for number in range(tries):
                    job = _Case(title, case, self.cache, wanted)
                    yield Job(f"data/{title} {number}", job.run)


class _Killed(NamedTuple):
    """A run that is killed again and again."""

    kind: Kind
    cache: pathlib.Path
    undisturbed: Undisturbed

    def run(self, folder: pathlib.Path, rng: np.random.Generator) -> list[Outcome]:
        """Returns an outcome for each kill, and one for the finished run."""
        place = Place(folder / "run", folder, self.cache)
        killed = kills.kill_until_finished(self.kind, place, rng, self.undisturbed)
        found = [
            Outcome(
                f"kill of {self.kind.name}",
                *shot.verdict,
                phase=shot.phase,
                signal=signal.Signals(shot.number).name if shot.number else "",
                is_mid_write=shot.is_mid_write,
                seconds=shot.seconds,
            )
            for shot in killed.shots
        ]
        case = f"killed until finished: {self.kind.name}"
        return [*found, Outcome(case, *killed.verdict)]


class _Case(NamedTuple):
    """A case that has one verdict."""

    title: str
    case: Callable[[Scene], Verdict]
    cache: pathlib.Path
    wanted: judge.Finished

    def run(self, folder: pathlib.Path, rng: np.random.Generator) -> list[Outcome]:
        """Returns the one outcome."""
        verdict = self.case(Scene(folder, self.cache, rng, self.wanted))
        return [Outcome(self.title, *verdict)]
