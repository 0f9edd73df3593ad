"""Goodput: where every second of a run went, over all its starts.

WORKDIR/goodput.json holds when the run was alive, and beside each checkpoint's step the
seconds that had led to it. A start that goes on from a checkpoint has these seconds;
all others that the run was alive for since are lost: their work is done again.
"""

import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from perceiver_jax.cluster import heartbeat, phases

FILE = "goodput.json"
LOST = "lost"
KEPT = 16  # steps whose seconds are kept: there are never so many checkpoints


class Goodput:
    """The seconds of a run, this start's and those of the ones before."""

    def __init__(
        self,
        workdir: pathlib.Path,
        clock: phases.Clock,
        first_step: int,
        before: heartbeat.Beat | None = None,
        active: bool = True,
    ):
        """Goes on with the seconds of a run.

        Args:
          workdir: of the run.
          clock: of this process.
          first_step: of the checkpoint that it goes on from, or 0.
          before: the last sign of life of the start before.
          active: whether this process writes the file.
        """
        self._path = workdir / FILE
        self._clock = clock
        self._active = active
        saved = self._read()
        self._lives: list[list[float]] = saved["lives"]
        self._steps: dict[str, Any] = saved["steps"]
        if before is not None and self._lives:
            # A process that was killed died half a beat after its last one, on average.
            end = before.time + (0 if before.ended else heartbeat.EVERY / 2)
            self._lives[-1][1] = max(self._lives[-1][1], end)
        came_with = self._steps.get(str(first_step), {"time": 0.0, "seconds": {}})
        lost = sum(
            max(0.0, end - max(start, came_with["time"])) for start, end in self._lives
        )
        self._before = dict(came_with["seconds"])
        self._before[LOST] = self._before.get(LOST, 0.0) + lost
        self._lives.append([clock.started, time.time()])
        self.note(first_step)

    def seconds(self) -> dict[str, float]:
        """Returns the seconds of each phase, and those lost, since the run's start."""
        found = self._clock.totals() | {LOST: 0.0}
        return {name: s + self._before.get(name, 0.0) for name, s in found.items()}

    def shares(self) -> dict[str, float]:
        """Returns "goodput/PHASE": which share of the run's life it took."""
        seconds = self.seconds()
        total = max(sum(seconds.values()), 1e-9)
        return {f"goodput/{name}": s / total for name, s in seconds.items()}

    def note(self, step: int) -> None:
        """Notes that all seconds so far have led to a step that is saved."""
        now = time.time()
        self._lives[-1][1] = now
        self._steps.pop(str(step), None)
        self._steps[str(step)] = {"time": now, "seconds": self.seconds()}
        for old in list(self._steps)[:-KEPT]:
            del self._steps[old]
        if self._active:
            new = self._path.with_suffix(".tmp")
            new.write_text(json.dumps({"lives": self._lives, "steps": self._steps}))
            new.replace(self._path)

    def table(self) -> str:
        """Returns the seconds of all phases, for people."""
        seconds = self.seconds()
        total = sum(seconds.values())
        rows = [*seconds.items(), ("in all", total)]
        lines = [f"  {name:10} {s:10.1f} s {s / total:7.1%}" for name, s in rows]
        alive = sum(end - start for start, end in self._lives)
        between = max(0.0, self._lives[-1][1] - self._lives[0][0] - alive)
        lines.append(f"  starts: {len(self._lives)}, with {between:.1f} s between them")
        return "\n".join(lines)

    def _read(self) -> Mapping[str, Any]:
        try:
            return json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            # Nothing that a run's numbers depend on is in it: it begins anew.
            return {"lives": [], "steps": {}}
