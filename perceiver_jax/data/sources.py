"""Random-access example sources: a length, and an example for every index.

Sources of images give them encoded, so that one place (`decoding.decode`) decides how
a file becomes pixels. All sources can be pickled for worker processes.
"""

import dataclasses
import glob
import logging
import pathlib
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np

logger = logging.getLogger(__name__)

Example = dict[str, Any]

# Seconds to wait before an example is read again: a file server may be away so long.
_WAITS = (1.0, 3.0, 10.0)
# Errors of reading that waiting does not mend.
_LASTING = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


class CorruptExample(ValueError):
    """The data of one example are damaged. The message names it and says why.

    The one error for what training may replace and evaluation may leave out. A file
    that is gone is an OSError, and sizes that do not fit a model are a ValueError:
    both end the run.
    """


class UnreadableExample(OSError):
    """An example could not be read, at any of several tries. The message names it."""


class Source(Protocol):
    """What batches are made from.

    An example says its own name, such as its file, under "name". A source of files also
    has `name(index)`, which tells it of an example that can't be read.
    """

    def __len__(self) -> int:
        """The number of examples."""

    def __getitem__(self, index: int) -> Example:
        """The example at `index`; raises IndexError beyond the last."""


def read(source: Source | Sequence[Any], index: int) -> Any:
    """Returns the example at `index`, tried again where an error may pass.

    Raises:
      UnreadableExample: an OSError came at every try.
      OSError: one that does not pass, such as a file that is gone.
    """
    waits = iter(_WAITS)
    while True:
        try:
            return source[index]
        except (*_LASTING, UnreadableExample):
            raise
        except OSError as error:
            name = source.name(index) if hasattr(source, "name") else f"example {index}"
            wait = next(waits, None)
            if wait is None:
                raise UnreadableExample(
                    f"{name} can't be read, tried {len(_WAITS) + 1} times: {error}"
                ) from error
            logger.warning("%s: %s; trying again in %g s", name, error, wait)
            time.sleep(wait)


class ArraySource:
    """Examples that lie in memory, one per row of every array.

    Example: `ArraySource(image=images, label=labels)[3]` is
    `{"image": images[3], "label": labels[3]}`.
    """

    def __init__(self, **arrays: np.ndarray):
        """Raises ValueError: no array, a scalar, or different leading lengths."""
        if not arrays:
            raise ValueError("ArraySource needs at least one array")
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        shapes = {name: array.shape for name, array in self._arrays.items()}
        if len({shape[:1] for shape in shapes.values()}) > 1 or () in shapes.values():
            raise ValueError(f"arrays need one leading length, got shapes {shapes}")

    def __len__(self) -> int:
        """The leading length of every array."""
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, index: int) -> Example:
        """Row `index` of every array."""
        return {name: array[index] for name, array in self._arrays.items()}


class Subset:
    """Some examples of a source, as a source."""

    def __init__(self, source: Source, indices: Sequence[int]):
        """Takes the examples at `indices`, in their order."""
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        """Their number."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Example:
        """The example at `index` of them."""
        return read(self._source, self._indices[index])


class Kept:
    """A source that keeps in memory what it has read or made once."""

    def __init__(self, source: Source):
        """Keeps the examples of `source`, which must not change."""
        self._source = source
        self._kept: dict[int, Example] = {}

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`."""
        if index not in self._kept:
            self._kept[index] = self._source[index]
        return self._kept[index]


def files_below(folder: pathlib.Path, suffixes: Collection[str]) -> list[pathlib.Path]:
    """Returns the files of these suffixes, in any case, in a folder and all below it.

    Links are followed, hidden files left out. The order is that of the numbers in
    names: frame 2 comes before frame 10.
    """
    found = (folder / name for name in glob.glob("**", root_dir=folder, recursive=True))
    wanted = (p for p in found if p.suffix.lower() in suffixes and p.is_file())
    return sorted(wanted, key=_in_order)


def _in_order(path: pathlib.Path) -> list[str | int]:
    parts = re.split(r"(\d+)", str(path))  # every second one is a number
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


class CorruptCount:
    """Logs and counts corrupt examples, each once in a process (main or worker)."""

    def __init__(self, limit: int):
        """Allows so many; sys.maxsize for any number."""
        self._limit = limit
        self._indices: set[int] = set()
        self._lock = threading.Lock()

    def __contains__(self, index: int) -> bool:
        """Whether the example at `index` was found corrupt."""
        return index in self._indices

    def add(self, index: int, error: CorruptExample) -> None:
        """Counts the example at `index`, of which `error` says what is wrong.

        Raises:
          RuntimeError: there are more than the limit; too much would be missing to
            compare results.
        """
        with self._lock:
            if index in self._indices:  # another thread met it, or it came again
                return
            self._indices.add(index)
            count = len(self._indices)
        if count > self._limit:
            raise RuntimeError(
                f"more than {self._limit} corrupt examples, the last: {error}; repair"
                " the data, or allow more by data.max_corrupt where the config has it"
            ) from error
        is_limited = self._limit < sys.maxsize
        allowed = f" of at most {self._limit} allowed" if is_limited else ""
        logger.warning("corrupt example %d%s: %s", count, allowed, error)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the limit: each process has its own lock and count."""
        return CorruptCount, (self._limit,)


class SkipCorrupt:
    """Decodes the examples of a source; a corrupt one becomes the next good one.

    For training only: evaluation leaves a corrupt example out and says so. The rule
    (index + 1, + 2, ... around the end) depends on nothing but the files, so the
    order of training stays a function of the seed and the step.
    """

    def __init__(
        self, source: Source | Sequence[Any], decode: Callable[[Any], Any], limit: int
    ):
        """Wraps a source.

        Args:
          source: gives the encoded examples, or files.
          decode: an example with its image decoded; raises CorruptExample.
          limit: how many different examples may be corrupt, see CorruptCount.
        """
        self._source = source
        self._decode = decode
        self._corrupt = CorruptCount(limit)

    def __len__(self) -> int:
        """The number of examples, corrupt ones included."""
        return len(self._source)

    def __getitem__(self, index: int) -> Any:
        """The decoded example at `index`, or the next good one."""
        index = range(len(self))[index]  # IndexError ends a plain `for` loop
        for offset in range(len(self)):
            candidate = (index + offset) % len(self)
            if candidate in self._corrupt:
                continue
            try:
                return self._decode(read(self._source, candidate))
            except CorruptExample as error:
                self._corrupt.add(candidate, error)
        raise RuntimeError(f"all {len(self)} examples are corrupt")


class ReplaceCorrupt:
    """A random preprocess, where the next good example stands in for a corrupt one.

    For training on examples of which only a random part is decoded, such as a clip of
    a video. That part may be good where another one is damaged, so, unlike in
    SkipCorrupt, an example is tried again at each draw: what a step trains on depends
    on the seed and the step, not on what was met before.
    """

    def __init__(
        self,
        source: Source,
        preprocess: Callable[[Example, np.random.Generator], Example],
        limit: int,
    ):
        """Wraps a preprocess.

        Args:
          source: of the examples, each of which has its "index".
          preprocess: reads a random part of an example; raises CorruptExample.
          limit: how many different examples may be corrupt, see CorruptCount.
        """
        self._source = source
        self._preprocess = preprocess
        self._corrupt = CorruptCount(limit)

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Returns what is made of the example, or of the next good one."""
        drawn = _Preprocessed(self._source, self._preprocess, int(rng.integers(2**63)))
        for offset in range(len(self._source)):
            candidate = (example["index"] + offset) % len(self._source)
            try:
                return read(drawn, candidate)
            except CorruptExample as error:
                self._corrupt.add(candidate, error)
        raise RuntimeError(f"all {len(self._source)} examples are corrupt")


@dataclasses.dataclass(frozen=True)
class _Preprocessed:
    """What is made of the examples of a source, with the same numbers at every try."""

    source: Source
    preprocess: Callable[[Example, np.random.Generator], Example]
    seed: int

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index])
        return self.preprocess(self.source[index], rng)

    def name(self, index: int) -> str:
        return str(self.source[index].get("name", f"example {index}"))
