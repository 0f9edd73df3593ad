"""One checkpoint on disk: read, and compared with what was saved.

Nothing here waits for other processes inside Orbax: where one can't read a file, all
are told, and all raise the same error.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from perceiver_jax.engine import files, sharding
from perceiver_jax.engine.checkpoints.checksums import Checksum, checksums_of
from perceiver_jax.engine.checkpoints.damage import DamagedError, agree, agreed, reason
from perceiver_jax.engine.checkpoints.named_arrays import (
    Shapes,
    check_same_arrays,
    shapes_of,
)

ABOUT = "about"
EVALUATION = "evaluation.json"
DIGEST = "digest"  # a field of both: of the others
CHECKSUMS = "checksums"  # a field of about: {"item/name": Checksum}


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is to be written as JSON, with a digest of it."""
    content = json.loads(json.dumps(dict(content)))
    return {**content, DIGEST: _digest(content)}


def unseal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what was sealed.

    Raises:
      DamagedError: it was changed since.
    """
    rest = {name: value for name, value in content.items() if name != DIGEST}
    if content.get(DIGEST) != _digest(rest):
        raise DamagedError("differs from what was written")
    return rest


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Folder(NamedTuple):
    """A checkpoint: WORKDIR/checkpoints/STEP."""

    path: pathlib.Path

    def about(self) -> dict[str, Any]:
        """Returns what the checkpoint says of itself; raises as `contents`."""
        return self.contents()[0]

    def contents(self) -> tuple[dict[str, Any], dict[str, Checksum]]:
        """Returns what it says of itself, and what its arrays were, by "item/name".

        Raises:
          DamagedError: not as it was written.
          ValueError: an earlier version of this code wrote it, without checksums.
        """
        found = agreed(ABOUT, self._read_about)
        if DIGEST not in found and CHECKSUMS not in found:
            version = found.get("git", "unknown")
            raise ValueError(
                f"{self.path} has no checksums: an earlier version of this code wrote "
                f"it. Use it with that one, of git hash {version}."
            )
        about = agreed(ABOUT, lambda: unseal(found))
        saved = about.pop(CHECKSUMS)
        return about, {k: Checksum(tuple(s), *rest) for k, (s, *rest) in saved.items()}

    def _read_about(self) -> dict[str, Any]:
        found = json.loads((self.path / ABOUT / "metadata").read_bytes())
        if not isinstance(found, dict):
            raise DamagedError("differs from what was written")
        return found

    def check_has(self, item: str) -> None:
        """Raises ValueError where an item was not saved; else as `contents`."""
        if item not in self._items():
            raise ValueError(
                f"Checkpoint {self.path} has no {item}: it was converted, not trained. "
                "Start from it in a new workdir, with --config.init_from."
            )

    def _items(self) -> list[str]:
        return sorted({name.partition("/")[0] for name in self.contents()[1]})

    def abstract(self, item: str) -> Any:
        """Returns an item's shapes and types, to restore it whole on every device.

        Raises:
          DamagedError: it does not have the arrays that were saved.
          ValueError: as `contents`.
        """
        saved = _shapes_in(self.contents()[1], item)
        handler = ocp.StandardCheckpointHandler()
        mesh = sharding.make_mesh()
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

        def read():
            tree = handler.metadata(self.path / item).tree
            if shapes_of(tree) != saved:
                raise DamagedError("lists other arrays than were saved")
            return tree

        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
            agreed(item, read),
        )

    def read(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Returns items of the checkpoint, each array as it was saved.

        Args:
          wanted: {item: tree of jax.ShapeDtypeStruct with shardings}.

        Raises:
          DamagedError: files can't be read, or differ from what was saved.
          ValueError: as `contents`; or the checkpoint has other arrays.
        """
        saved = self.contents()[1]
        for item, tree in wanted.items():
            check_same_arrays(_shapes_in(saved, item), shapes_of(tree), str(self.path))
        found = {item: self._read(item, tree) for item, tree in wanted.items()}
        checksums = checksums_of(found)
        differ = [name for name, value in checksums.items() if value != saved[name]]
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        told = f"{', '.join(differ[:3])}{more} not as saved, by the checksum"
        agree(told if differ else "")
        return found

    def _read(self, item: str, tree: Any) -> Any:
        handler = ocp.StandardCheckpointHandler()
        args = ocp.args.StandardRestore(tree)

        def read():
            found = handler.restore(self.path / item, args=args)
            return jax.block_until_ready(found)

        return agreed(item, read)

    def can_be_read(self, wanted: Mapping[str, Any] | None = None) -> bool:
        """Returns whether `read` gives items as they were saved.

        Args:
          wanted: {item: tree, None to restore it whole}; None for all that it has.
        """
        try:
            wanted = wanted or dict.fromkeys(self._items())
            self.read({k: tree or self.abstract(k) for k, tree in wanted.items()})
        except (ValueError, jax.errors.JaxRuntimeError):
            return False
        return True

    def remedy(
        self,
        others: Sequence[int],
        wanted: Mapping[str, Any] | None,
        set_aside: pathlib.Path | None,
    ) -> str:
        """Returns what can be done where this checkpoint is damaged.

        Args:
          others: the steps of the other checkpoints of the run.
          wanted: as `can_be_read`.
          set_aside: to train on: where checkpoints are moved that are later than the
            one that is chosen.
        """
        beside = self.path.parent
        good = [s for s in others if Folder(beside / str(s)).can_be_read(wanted)]
        if good:
            told = f"Whole are those of steps {', '.join(map(str, good))}: "
            if set_aside:
                return (
                    f"{told}go on from one with --resume_from={good[-1]}; later ones "
                    f"are then moved to {set_aside}."
                )
            return (
                f"{told}choose one with --step={good[-1]}, or name its folder, "
                f"{beside / str(good[-1])}."
            )
        told = "No other of this run is whole. " if others else "It is the only one. "
        told += "Put it back from a copy, or train in a new --workdir."
        if self.can_be_read({"variables": None}):
            told += (
                " Its variables are whole: a new run can start from them, with "
                f"--config.init_from={self.path}."
            )
        return told

    def evaluation(self) -> dict[str, float]:
        """Returns the numbers of its evaluation, nothing where it has none.

        Raises:
          DamagedError: not as they were written.
        """
        path = self.path / EVALUATION
        try:
            return unseal(json.loads(path.read_bytes())) if path.exists() else {}
        except (ValueError, AttributeError) as error:  # no JSON; no mapping
            raise DamagedError(
                f"{path} is damaged ({reason(error)}): remove it, and the step counts "
                "as not evaluated."
            ) from error

    def write_evaluation(self, numbers: Mapping[str, float]) -> None:
        """Writes the numbers of its evaluation, whole or not at all."""
        files.replace_text(self.path / EVALUATION, json.dumps(seal(numbers)))


def _shapes_in(saved: Mapping[str, Checksum], item: str) -> Shapes:
    return {
        name.removeprefix(f"{item}/"): (checksum.shape, checksum.dtype)
        for name, checksum in saved.items()
        if name.startswith(f"{item}/")
    }


def scores(directory: pathlib.Path, steps: Iterable[int]) -> dict[int, float]:
    """Returns the scores of those steps that were evaluated."""
    found = {s: Folder(directory / str(s)).evaluation().get("score") for s in steps}
    return {step: score for step, score in found.items() if score is not None}


class Best(NamedTuple):
    """Which checkpoints Orbax may not delete: those whose score is largest."""

    keep: int
    directory: pathlib.Path

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """Returns it for each of the checkpoints."""
        del context
        found = scores(self.directory, (c.step for c in checkpoints))
        best = sorted(found, key=lambda step: found[step], reverse=True)
        return [c.step in best[: self.keep] for c in checkpoints]
