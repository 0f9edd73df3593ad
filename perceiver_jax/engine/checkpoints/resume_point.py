"""Which checkpoint training goes on from, and what is said where that one is gone.

WORKDIR/newest_checkpoint.txt has the step of the newest checkpoint that was written
whole. Where it is missing, training stops: from an earlier one, or from none, the run
would not be what its metrics.jsonl says.
"""

import logging
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from perceiver_jax.engine import files

logger = logging.getLogger(__name__)

NEWEST = "newest_checkpoint.txt"  # in a workdir
SET_ASIDE = "set_aside"  # in a workdir: checkpoints later than one that was chosen
CHOSEN = "resumed_from.txt"  # in that folder: the step that was chosen


class ResumePoint(NamedTuple):
    """The step that training in a workdir goes on from."""

    workdir: pathlib.Path

    @property
    def set_aside(self) -> pathlib.Path:
        """Where checkpoints later than one that was chosen are kept."""
        return self.workdir / SET_ASIDE

    def find(self, steps: Sequence[int], chosen: int | None = None) -> int | None:
        """Returns the step to train on from, None where training has yet to begin.

        Args:
          steps: those that there are checkpoints of.
          chosen: the one that a user asked for. Where training went on from it before,
            the newest is meant: a launcher repeats its command at each restart.

        Raises:
          FileNotFoundError: there is no such checkpoint; or the newest one that was
            written is missing.
        """
        if chosen is not None and chosen != self._read(SET_ASIDE, CHOSEN):
            if chosen not in steps:
                raise FileNotFoundError(
                    f"No checkpoint of step {chosen} in {self.workdir}; it has "
                    f"{sorted(steps) or 'none'}."
                )
            return chosen
        newest, written = max(steps, default=None), self._read(NEWEST)
        if written is None or (newest is not None and newest >= written):
            return newest
        lost = f"Checkpoint {self.workdir / 'checkpoints' / str(written)} is missing"
        if newest is not None:
            raise FileNotFoundError(
                f"{lost}, the newest that was written; there are {sorted(steps)}. Put "
                f"it back, or go on from an earlier one with --resume_from={newest}."
            )
        raise FileNotFoundError(
            f"{lost}, and there is no other. metrics.jsonl stays as it is. Put the "
            "checkpoint back, or train in a new --workdir. To begin anew in this one, "
            f"move {NEWEST} and metrics.jsonl elsewhere first."
        )

    def was_written(self, step: int) -> None:
        """Keeps that a checkpoint was written whole, the newest one."""
        files.replace_text(self.workdir / NEWEST, f"{step}\n")

    def set_aside_after(self, step: int, steps: Sequence[int]) -> None:
        """Moves the checkpoints later than `step`, which a user chose, to set_aside."""
        aside = self.set_aside
        aside.mkdir(exist_ok=True)
        for later in (found for found in steps if found > step):
            target, number = aside / str(later), 1
            while target.exists():
                number += 1
                target = aside / f"{later}_{number}"
            (self.workdir / "checkpoints" / str(later)).rename(target)
            logger.info("The checkpoint of step %d is set aside, as %s", later, target)
        self.was_written(step)
        files.replace_text(aside / CHOSEN, f"{step}\n")

    def _read(self, *names: str) -> int | None:
        path = self.workdir.joinpath(*names)
        if not path.exists():
            return None
        text = path.read_text(errors="replace").strip()
        if not text.isdecimal():
            raise ValueError(
                f"{path} is damaged ({text[:20]!r}): write a step into it, or remove "
                "it, to go on from the newest checkpoint that there is."
            )
        return int(text)
