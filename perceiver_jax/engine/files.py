"""Files that are written whole or not at all, and named where they can't be."""

import contextlib
import pathlib
from collections.abc import Iterator


def replace_text(path: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with named_in_errors(path):
        part.write_text(text)
        part.replace(path)


@contextlib.contextmanager
def named_in_errors(path: pathlib.Path) -> Iterator[None]:
    """Says which file, as the error of a full disk doesn't."""
    try:
        yield
    except OSError as error:
        name = error.filename or str(path)
        raise OSError(error.errno, error.strerror, name) from error
