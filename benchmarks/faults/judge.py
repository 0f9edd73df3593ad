"""Whether a run that was disturbed is what it would have been without."""

import collections
import pathlib
import struct
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from tensorboardX.proto import event_pb2

from benchmarks.faults import runs
from perceiver_jax.cluster import heartbeat
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.writer import read_metrics

OK = "ok"
LOST = "lost"
DOUBLED = "doubled"
WRONG = "silently wrong"
HUNG = "hung"
OTHER = "other"  # such as a wrong exit status
VERDICTS = (OK, LOST, DOUBLED, WRONG, HUNG, OTHER)

ITEMS = ("variables", "optimizer")
TIMINGS = ("steps_per_second", "data_wait", "goodput/")
HALF_WRITTEN = ("*tmp*", "*.part*", ".writable*")  # names of files


class Verdict(NamedTuple):
    """What is said of a case."""

    verdict: str = OK
    detail: str = ""


class Finished(NamedTuple):
    """All that a finished run has to show.

    Attributes:
      arrays: of its last checkpoint, {"item/name": bits}.
      window: the running means that are saved with it.
      evaluations: of its last and its best checkpoint, {step: numbers}.
      rows: of metrics.jsonl: {(step, name): value} without timings.
      events: of TensorBoard, {(step, tag): value}, without timings.
      doubled: rows and events that are there more than once.
      ended: what its first process said at its end.
      left: files that were not written to their end.
    """

    arrays: Mapping[str, bytes]
    window: Mapping[str, Any]
    evaluations: Mapping[int, Mapping[str, float]]
    rows: Mapping[Hashable, float]
    events: Mapping[Hashable, float]
    doubled: list[Hashable]
    ended: str
    left: list[str]

    @classmethod
    def read(cls, workdir: pathlib.Path) -> "Finished":
        """Reads the workdir of a run."""
        saved = checkpoint.Checkpoints(workdir, read_only=True)
        last = max(saved.steps())
        best = saved.best_step() or last
        wanted = {item: saved.abstract(last, item) for item in ITEMS}
        rows = collections.Counter[Hashable]()
        numbers: dict[Hashable, float] = {}
        for row in read_metrics(workdir):
            for name, value in row.items():
                if not name.startswith((*TIMINGS, "step")):
                    rows["row", row["step"], name] += 1
                    numbers["row", row["step"], name] = value
        events: dict[Hashable, float] = {}
        for step, tag, value in _events(workdir / "tensorboard"):
            rows["event", step, tag] += 1
            if not tag.startswith(TIMINGS):
                events["event", step, tag] = value
        left = [p for pattern in HALF_WRITTEN for p in workdir.rglob(pattern)]
        return cls(
            arrays=bits(saved.restore(last, **wanted)),
            window=saved.about(last)["window"],
            evaluations={step: saved.metrics(step) for step in (last, best)},
            rows=numbers,
            events=events,
            doubled=[row for row, times in rows.items() if times > 1],
            ended=heartbeat.read(workdir)[0].ended,
            left=[str(path.relative_to(workdir)) for path in left],
        )

    def compare(self, wanted: "Finished") -> Verdict:
        """Says what is wrong, the worst first, with what the run should be."""
        parts: list[tuple[str, Mapping[Any, Any], Mapping[Any, Any]]] = [
            ("arrays", self.arrays, wanted.arrays),
            ("numbers", self.rows, wanted.rows),
            ("events", self.events, wanted.events),
            ("evaluations", self.evaluations, wanted.evaluations),
            ("running means", self.window, wanted.window),
        ]
        for name, found, right in parts:
            differ = [k for k in found.keys() & right.keys() if found[k] != right[k]]
            if differ:
                return Verdict(WRONG, f"{name} differ: {_few(differ)}")
            if right.keys() - found.keys():
                return Verdict(LOST, f"{name}: {_few(right.keys() - found.keys())}")
            if found.keys() - right.keys():
                return Verdict(WRONG, f"more {name}: {_few(found.keys() - right)}")
        if self.doubled:
            return Verdict(DOUBLED, _few(self.doubled))
        if self.ended != wanted.ended:
            return Verdict(OTHER, f"its beat says '{self.ended}'")
        if self.left:
            return Verdict(OTHER, f"half-written files are left: {_few(self.left)}")
        return Verdict()


def bits(items: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns all arrays of a checkpoint's items, {"item/name": bits}."""
    found = {item: items[item] for item in ITEMS if item in items}
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(x).tobytes()
        for path, x in jax.tree_util.tree_leaves_with_path(found)
    }


def _events(folder: pathlib.Path) -> Iterator[tuple[int, str, float]]:
    """Yields what TensorBoard would read: records of length, checksum, event, checksum.

    Half a record at the end of a file is left out.
    """
    for path in sorted(folder.glob("*tfevents*")):
        rest = path.read_bytes()
        while len(rest) >= 12:
            (length,) = struct.unpack("<Q", rest[:8])
            if len(rest) < 16 + length:
                break
            event = event_pb2.Event.FromString(rest[12 : 12 + length])
            for value in event.summary.value:
                yield event.step, value.tag, value.simple_value
            rest = rest[16 + length :]


def _few(things) -> str:
    told = sorted(map(str, things))
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more" if told[3:] else "")


def judge_finished(kind: runs.Kind, place: runs.Place, wanted: Finished) -> Verdict:
    """Finishes a run, and says whether it is what it should be."""
    problem = runs.finish(kind, place)
    if problem:
        return Verdict(HUNG if problem.startswith("hung") else OTHER, problem)
    return Finished.read(place.workdir).compare(wanted)
