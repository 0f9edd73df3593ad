"""A checkpoint that is being written, and what is said where it can't be."""

import errno
import os
import pathlib
import shutil
from typing import Any, NamedTuple

from perceiver_jax.engine.checkpoints import damage
from perceiver_jax.engine.checkpoints.named_arrays import leaves

# Of the bytes of arrays, the part that is needed on disk at least: they are compressed.
COMPRESSED = 0.8


class Save(NamedTuple):
    """A checkpoint that is being written.

    Attributes:
      folder: WORKDIR/checkpoints/STEP, to be.
      size: bytes of its arrays.
    """

    folder: pathlib.Path
    size: int

    @classmethod
    def of(cls, folder: pathlib.Path, items: Any) -> "Save":
        """Returns the save of a tree of arrays."""
        return cls(folder, sum(x.nbytes for x in leaves(items).values()))

    @property
    def step(self) -> int:
        """The step that is saved."""
        return int(self.folder.name)

    def check_space(self) -> None:
        """Raises OSError, on all processes, where there is surely too little space."""
        is_full = self._free() < COMPRESSED * self.size
        told = damage.first_problem(os.strerror(errno.ENOSPC) if is_full else "")
        if told:
            raise self.failed(told)

    def failed(self, reason: str) -> OSError:
        """Returns the error of a save that failed."""
        return OSError(
            f"Checkpoint {self.folder} could not be written: {reason}. "
            f"{self._free() / 1e6:.3g} MB are free there, and about "
            f"{self.size / 1e6:.3g} MB needed. Those before it are whole."
        )

    def _free(self) -> int:
        return shutil.disk_usage(self.folder.parent).free
