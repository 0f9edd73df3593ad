"""What a campaign found: kept case by case, so that it can go on, and as tables."""

import collections
import json
import pathlib
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.faults import judge


class Outcome(NamedTuple):
    """What became of one try.

    Attributes:
      case: what was tried.
      verdict: one of judge.VERDICTS.
      detail: more of it.
      phase: in which a process was killed, if one was.
      signal: by which, its name.
      is_mid_write: whether that left a checkpoint half-written.
      seconds: until all processes had left.
    """

    case: str
    verdict: str
    detail: str = ""
    phase: str = ""
    signal: str = ""
    is_mid_write: bool = False
    seconds: float = 0.0


class Log:
    """WORKDIR/outcomes.jsonl: a line for each part of the campaign that is done."""

    def __init__(self, path: pathlib.Path):
        """Reads what an earlier start has done."""
        self._path = path
        self._lock = threading.Lock()
        self.parts: dict[str, list[Outcome]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                part, outcomes = json.loads(line)
                self.parts[part] = [Outcome(*outcome) for outcome in outcomes]

    def add(self, part: str, outcomes: list[Outcome]) -> None:
        """Keeps what a part found, and tells it."""
        with self._lock:
            self.parts[part] = outcomes
            with self._path.open("a") as file:
                file.write(json.dumps([part, outcomes]) + "\n")
            bad = [o for o in outcomes if o.verdict != judge.OK]
            print(f"{part}: {len(outcomes)} tries, {len(bad)} bad", flush=True)
            for outcome in bad:
                print(f"  {outcome.verdict}: {outcome.detail}", flush=True)

    def outcomes(self) -> list[Outcome]:
        """Returns all of them, by case."""
        found = [o for part in sorted(self.parts) for o in self.parts[part]]
        return sorted(found, key=lambda outcome: outcome.case)


def report(outcomes: list[Outcome]) -> str:
    """Returns all tables."""
    kills = [outcome for outcome in outcomes if outcome.signal]
    half = sum(kill.is_mid_write for kill in kills)
    longest = max((kill.seconds for kill in kills), default=0.0)
    return "\n\n".join(
        [
            _of_cases(outcomes),
            f"Phases in which processes were killed; {half} of {len(kills)} kills left "
            f"a checkpoint half-written; all had ended after at most {longest:.1f} s:",
            _of_phases(kills),
            "What was seen:",
            _of_details(outcomes),
        ]
    )


def _of_cases(outcomes: Iterable[Outcome]) -> str:
    """Returns a row for each case: how often it was tried, and what happened."""
    by_case: dict[str, collections.Counter[str]] = {}
    for outcome in outcomes:
        counts = by_case.setdefault(outcome.case, collections.Counter())
        counts[outcome.verdict] += 1
    rows = [
        [case, counts.total(), *(counts[verdict] for verdict in judge.VERDICTS)]
        for case, counts in by_case.items()
    ]
    return _markdown(["case", "tries", *judge.VERDICTS], rows)


def _of_phases(hits: Sequence[Outcome]) -> str:
    """Returns how often each phase was hit, by each signal."""
    names = sorted({hit.signal for hit in hits})
    counts = collections.Counter((hit.phase, hit.signal) for hit in hits)
    rows = []
    for phase in dict.fromkeys(hit.phase for hit in hits):
        of = [counts[phase, name] for name in names]
        rows.append([phase, *of, sum(of)])
    rows.append(["in all", *(sum(column) for column in list(zip(*rows))[1:])])
    return _markdown(["phase", *names, "in all"], rows)


def _of_details(outcomes: Iterable[Outcome]) -> str:
    """Returns what was found wrong, and what cases that have words for it found."""
    counts = collections.Counter((o.case, o.verdict, o.detail) for o in outcomes)
    rows = [
        [case, verdict, detail.replace("\n", " ").replace("|", "/"), times]
        for (case, verdict, detail), times in counts.items()
        if detail
    ]
    return _markdown(["case", "verdict", "what was seen", "times"], rows)


def _markdown(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Returns a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
