"""What experiments.predict needs of a task: the class Predictor of its predict.py.

A predictor is a dataclass whose fields made by `flag` are flags of the program:

    @dataclasses.dataclass(frozen=True)
    class Predictor(predicting.Predictor):
        top: int = predicting.flag(5, "Answers to tell.", at_least=1)
"""

import abc
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from absl import flags
from ml_collections import config_dict

from experiments import program
from perceiver_jax.engine.task import Batch, Identity

Apply = Callable[[Batch], Any]  # the compiled model; what it returns is on the host
Record = dict[str, Any]  # what is said of an item, as JSON


class Item(NamedTuple):
    """One thing to predict from.

    Attributes:
      name: what to call it in records and errors.
      stem: how its files begin.
      data: what the predictor makes of it.
    """

    name: str
    stem: str
    data: Any


class Folder:
    """A folder that files are written in, and nothing that stood there is replaced.

    Attributes:
      root: the folder.
    """

    def __init__(
        self,
        root: pathlib.Path,
        overwrite: bool = False,
        inputs: Iterable[pathlib.Path] = (),
    ):
        """Makes the folder.

        Args:
          root: where it is.
          overwrite: whether files of an earlier run may be replaced.
          inputs: files that may not be replaced in any case.

        Raises:
          ValueError: it is a file.
        """
        if root.exists() and not root.is_dir():
            raise ValueError(f"--output={root} is a file: name a folder.")
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._overwrite = overwrite
        self._inputs = {path.resolve() for path in inputs}
        self._written: set[pathlib.Path] = set()

    def file(self, name: str) -> pathlib.Path:
        """Returns the path of a file to write.

        Raises:
          FileExistsError: another one would be lost.
        """
        path = self.root / name
        if path.resolve() in self._inputs:
            raise FileExistsError(
                f"{path} is one of the inputs: choose another --output."
            )
        if path.exists() and path not in self._written and not self._overwrite:
            raise FileExistsError(
                f"{path} is there already: choose another --output, or replace it with "
                "--overwrite."
            )
        self._written.add(path)
        return path


@dataclasses.dataclass(frozen=True)
class Predictor(abc.ABC):
    """A task's model on a user's own inputs.

    Attributes:
      config: of the model.
      identity: what its inputs and outputs stand for.
      suffixes: of the files to look for in folders.
      needs_folder: whether all that it says is in files.
    """

    config: config_dict.ConfigDict
    identity: Identity
    suffixes: ClassVar[Sequence[str]] = ()
    needs_folder: ClassVar[bool] = False

    @property
    def config_to_look_at(self) -> config_dict.ConfigDict:
        """The config of the same model without a loop around attention.

        Attention inside a loop can't be recorded.
        """
        return self.config

    @abc.abstractmethod
    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """Yields what files, and lines of the standard input, hold, in order."""

    @abc.abstractmethod
    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """Returns what the model says of an item; writes files into the folder."""

    @abc.abstractmethod
    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """Writes attention as arrays and as a picture, and returns the files' names.

        `look` makes the maps of a batch.
        """

    @abc.abstractmethod
    def describe(self, record: Record) -> str:
        """Returns a record in lines for people."""


def flag(default: Any, text: str, at_least: float | None = None) -> Any:
    """Returns a field that is a flag, of the type of its default."""
    return dataclasses.field(
        default=default, metadata={"help": text, "at_least": at_least}
    )


def define_flags(predictor: type[Predictor]) -> None:
    """Defines the flags of a task's predictor, and lists them in --help."""
    for field in _flag_fields(predictor):
        name, text = field.name, field.metadata["help"]
        default: Any = field.default
        if isinstance(default, bool):
            flags.DEFINE_bool(name, default, text)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text, field.metadata["at_least"])
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text, field.metadata["at_least"])
        elif isinstance(default, tuple):
            flags.DEFINE_multi_string(name, list(default), text)
        else:
            flags.DEFINE_string(name, default, text)
        program.in_help(name)


def flag_values(predictor: type[Predictor]) -> dict[str, Any]:
    """Returns the flags' values as the predictor takes them."""
    found = {f.name: flags.FLAGS[f.name].value for f in _flag_fields(predictor)}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def _flag_fields(predictor: type[Predictor]) -> list[dataclasses.Field]:
    return [f for f in dataclasses.fields(predictor) if "help" in f.metadata]


def text_items(
    paths: Sequence[pathlib.Path], lines: Sequence[bytes], texts: Sequence[str]
) -> Iterator[Item]:
    """Yields files, lines and texts of the command line, for `read_text`."""
    yield from path_items(paths, [])
    for kind, found in (("line", lines), ("text", [text.encode() for text in texts])):
        for number, text in enumerate(found, 1):
            yield Item(f"{kind} {number}", f"{kind}_{number}", text)


def read_text(item: Item) -> bytes:
    """Returns the bytes of an item of `text_items`.

    Files are read here, so that one that can't be read is no other item's error.
    """
    return item.data.read_bytes() if isinstance(item.data, pathlib.Path) else item.data


def path_items(paths: Sequence[pathlib.Path], lines: Sequence[bytes]) -> Iterator[Item]:
    """Yields files, and the files that lines name; a blank line names none."""
    named = (pathlib.Path(os.fsdecode(line)) for line in lines if line.strip())
    for path in [*paths, *named]:
        yield Item(str(path), path.stem, path)
