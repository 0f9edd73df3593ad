"""What experiments.predict needs of a task.

predictors/TASK.py has make_predictor(config, options), and OPTIONS, the options that it
looks at.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from perceiver_jax.engine.task import Batch, Outputs

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


def text_items(
    paths: Sequence[pathlib.Path], lines: Sequence[bytes], *, texts: Sequence[str]
) -> Iterator[Item]:
    """Yields the bytes of files, of lines and of texts of the command line."""
    yield from (Item(str(path), path.stem, path.read_bytes()) for path in paths)
    for kind, found in (("line", lines), ("text", [text.encode() for text in texts])):
        for number, text in enumerate(found, 1):
            yield Item(f"{kind} {number}", f"{kind}_{number}", text)


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of experiments.predict that only some tasks know: module.OPTIONS.

    Attributes:
      labels: file with the name of every class, one a line.
      text: texts given on the command line.
      window: cut what is longer than the model into windows.
      top: how many of the most probable answers to tell.
      class_names: of every task, as the checkpoint has them; not a flag.
    """

    labels: pathlib.Path | None = None
    text: Sequence[str] = ()
    window: bool = False
    top: int = 5
    class_names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A task's model for a user's own inputs.

    Attributes:
      forward: (batch, is_training) -> outputs, a Haiku function.
      example: a batch that the model takes, for its shapes.
      suffixes: of the files to look for in folders.
      items: (files, lines of the standard input) -> items, in order.
      predict: (apply, item, folder or None) -> record; writes files into the folder.
      attend: (look, item, folder) -> names of the files it wrote: attention as arrays
        and as a picture, where `look` makes the maps of a batch.
      describe: record -> lines for people.
      vocabulary: see Task.
      looked_at: the same as `forward`, where that hides attention in a loop.
    """

    forward: Callable[[Batch, bool], Outputs]
    example: Mapping[str, np.ndarray]
    suffixes: Sequence[str]
    items: Callable[[Sequence[pathlib.Path], Sequence[bytes]], Iterator[Item]]
    predict: Callable[[Apply, Item, pathlib.Path | None], Record]
    attend: Callable[[Apply, Item, pathlib.Path], list[str]]
    describe: Callable[[Record], str]
    vocabulary: str = ""
    looked_at: Callable[[Batch, bool], Outputs] | None = None
