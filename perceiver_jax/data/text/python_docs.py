"""The English that ships with Python: its language reference and its docstrings.

A corpus of some 2 MB that every machine with Python has, for runs of minutes.
"""

import ast
import functools
import pathlib
import pydoc_data.topics
import sysconfig
import zlib
from typing import NamedTuple

_NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


class Document(NamedTuple):
    """A text about a part of Python.

    Attributes:
      package: the top-level package or module of the standard library; "topics" for
        the language reference.
      kind: "function", "class" or "module"; "topic" for the language reference.
      name: where it is from.
      text: UTF-8.
    """

    package: str
    kind: str
    name: str
    text: bytes

    @property
    def is_held_out(self) -> bool:
        """Whether it is for evaluation: a tenth, by a checksum of the text.

        Equal texts are on the same side, on all machines.
        """
        return zlib.crc32(self.text) % 10 == 0


@functools.cache
def documents() -> tuple[Document, ...]:
    """Returns the topics of `pydoc_data` and all docstrings, each text once.

    The files are parsed, not imported; it takes some seconds.
    """
    found = [
        Document("topics", "topic", name, text.encode())
        for name, text in sorted(pydoc_data.topics.topics.items())
    ]
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if not _NOT_LIBRARY & set(parts):
            found += _docstrings(path, parts)
    return tuple({document.text: document for document in reversed(found)}.values())


def _docstrings(path: pathlib.Path, parts: tuple[str, ...]) -> list[Document]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # lib2to3 keeps some files for Python 2
        return []
    module = ".".join(parts).removesuffix(".__init__")
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            kind, name = "module", module
        elif isinstance(node, ast.ClassDef):
            kind, name = "class", f"{module}.{node.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind, name = "function", f"{module}.{node.name}"
        else:
            continue
        text = ast.get_docstring(node)
        if text:
            found.append(Document(parts[0], kind, name, text.encode()))
    return found
