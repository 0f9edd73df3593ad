"""Checkpoints whose files are damaged: refused by name, or as good as before."""

import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults import judge
from benchmarks.faults.judge import Verdict
from experiments import program
from perceiver_jax.engine import checkpoint

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
        step = saved.latest_step()
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
        step = saved.latest_step()
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


def damaged(
    whole: Whole, damage: Damage, tries: int, rng: np.random.Generator
) -> Iterator[tuple[pathlib.Path, str]]:
    """Yields copies of a run, each with another damage, and what that is.

    Each file has its turn, in random order.
    """
    files: list[pathlib.Path] = []
    for number in range(tries):
        files = files or list(rng.permutation(whole.files()))
        path = files.pop()
        copy = whole.workdir.with_name(f"{whole.workdir.name}_damaged_{number}")
        shutil.copytree(whole.workdir, copy)
        yield copy, damage(copy / path.relative_to(whole.workdir), rng)
        shutil.rmtree(copy)


def judge_read(
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
