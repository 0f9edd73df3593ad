"""Corpora of text as random-access sources, of any size in little memory.

An example is `{"text": bytes, "name": str}`. Files are cut into spans of SPAN bytes, so
the index of a corpus is one number for each file, whatever its size. Any span can be
read by itself, so the order of training is a function of (seed, step), and resuming
replays nothing.
"""

import glob
import gzip
import hashlib
import json
import logging
import os
import pathlib
import shutil
import uuid
import zlib
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from perceiver_jax.data.sources import ArraySource, Example

logger = logging.getLogger(__name__)

SPAN = 16_384  # bytes; some eight documents of C4
SEPARATOR = b"\n\n"  # between documents: white space, never masked
_JSON = (".json", ".jsonl")
# What reading a text raises on a line that is no JSON object with one.
_NO_TEXT = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def in_memory(texts: Sequence[bytes], names: Sequence[str]) -> ArraySource:
    """Documents that lie in memory."""
    rows = np.empty(len(texts), object)  # numpy's own strings would lose final zeros
    rows[:] = texts
    return ArraySource(text=rows, name=np.array(names))


class TextFiles:
    """The files that a pattern names, each cut at line ends into spans of SPAN bytes.

    - `.jsonl` and `.json` have a JSON object a line; an example is the texts of the
      objects that begin in a span. It is empty inside an object longer than a span.
    - Everything else is plain text, UTF-8 or not; an example is the lines that begin
      in a span. A line that is longer than two spans is cut.
    - `.gz` of either is unpacked once into the folder `cache`, because a packed file
      can only be read from its beginning.

    Every byte of every file is in exactly one example.
    """

    def __init__(self, pattern: str, field: str, cache: str):
        """Lists the files.

        Args:
          pattern: a file, or a glob such as "corpus/**/*.txt"; `**` is any folders.
          field: where the objects of JSON files hold the text.
          cache: where `.gz` files are unpacked.

        Raises:
          FileNotFoundError: no file matches.
          NotADirectoryError: `cache` is a file.
          ValueError: all files are empty, or a `.gz` is corrupt.
        """
        pattern = os.path.expanduser(pattern)
        self._field = field
        self._names = _find(pattern)
        self._files = [
            _unpack(pathlib.Path(name), pathlib.Path(cache).expanduser())
            if name.endswith(".gz")
            else pathlib.Path(name)
            for name in self._names
        ]
        spans = [-(-file.stat().st_size // SPAN) for file in self._files]
        self._ends = np.cumsum(spans)  # of each file's spans
        if len(self) == 0:
            raise ValueError(f"the {len(self._names)} files of {pattern!r} are empty")

    def __len__(self) -> int:
        """The number of spans."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Example:
        """Reads one span."""
        index = range(len(self))[index]
        number = self._file_of(index)
        span = index - (int(self._ends[number - 1]) if number else 0)
        name, file = self._names[number], self._files[number]
        is_json = name.removesuffix(".gz").endswith(_JSON)
        limit = None if is_json else SPAN
        with file.open("rb") as stream:
            start = _line_start(stream, span * SPAN, limit)
            end = _line_start(stream, (span + 1) * SPAN, limit)
            stream.seek(start)
            text = stream.read(end - start)
        if is_json:
            text = SEPARATOR.join(self._texts(text, number, start))
        return {"text": text, "name": f"{name} from byte {start}"}

    def name(self, index: int) -> str:
        """The file that a span is of."""
        return self._names[self._file_of(index)]

    def _file_of(self, index: int) -> int:
        return int(np.searchsorted(self._ends, index, side="right"))

    def _texts(self, lines: bytes, number: int, start: int) -> list[bytes]:
        texts = []
        for row, line in enumerate(lines.split(b"\n")):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
                # A lone surrogate is valid in JSON, but has no UTF-8.
                texts.append(value[self._field].encode(errors="surrogatepass"))
            except _NO_TEXT as error:
                with self._files[number].open("rb") as stream:
                    row += 1 + sum(
                        stream.read(min(SPAN, start - at)).count(b"\n")
                        for at in range(0, start, SPAN)
                    )
                shown = line[:80].decode(errors="backslashreplace")
                raise ValueError(
                    f"{self._names[number]} line {row} is no JSON object, in UTF-8, "
                    f"with a text in field {self._field!r}: {shown}"
                ) from error
        return texts


def _find(pattern: str) -> list[str]:
    if os.path.isfile(pattern):  # whatever brackets may be in its name
        return [pattern]
    found = [n for n in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(n)]
    if not found:
        wanted = "give a file or a glob, such as 'corpus/**/*.txt'"
        if os.path.isdir(pattern):
            wanted = f"it is a folder: give {os.path.join(pattern, '**', '*.txt')!r}"
        raise FileNotFoundError(f"no file matches {pattern!r}; {wanted}")
    return found


def _line_start(stream: BinaryIO, place: int, limit: int | None) -> int:
    """Returns where the first line begins that begins at `place` or later.

    Where none begins in the next `limit` bytes: `place` itself.
    """
    if place == 0:
        return 0
    stream.seek(place - 1)
    rest = stream.readline(-1 if limit is None else limit)
    if limit is not None and len(rest) == limit and not rest.endswith(b"\n"):
        return place
    return place - 1 + len(rest)


def _unpack(path: pathlib.Path, cache: pathlib.Path) -> pathlib.Path:
    """Returns the content of a `.gz` as a file of `cache`, made if it is not there."""
    about = path.stat()
    identity = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    target = cache / f"{key}_{path.stem}"
    if target.exists():
        return target
    if cache.exists() and not cache.is_dir():
        raise NotADirectoryError(
            f"{cache} is a file; name a folder to unpack {path.name} into"
        )
    cache.mkdir(parents=True, exist_ok=True)
    logger.info("Unpacking %s, once, to %s.", path, target)
    part = cache / f"{target.name}.{uuid.uuid4().hex}"  # of this process alone
    try:
        with gzip.open(path) as packed, part.open("wb") as stream:
            shutil.copyfileobj(packed, stream, 1 << 20)
        part.replace(target)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no gzip file, or is cut off: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return target
