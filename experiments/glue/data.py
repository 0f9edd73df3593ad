"""The tasks of classifying and scoring texts that a config's `data` describes."""

import collections
import pathlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from perceiver_jax.data.sources import Source
from perceiver_jax.data.text import glue, glue_data, labelled, python_docs


class TextTask(NamedTuple):
    """One task. Examples are those of `labelled.LabelledTexts`.

    Attributes:
      name: of the task.
      class_names: the name of every class id; none for a score.
      metrics: of scores.compute; the first counts in the average.
      train: to train on.
      held_out: set name -> examples to evaluate on.
    """

    name: str
    class_names: Sequence[str]
    metrics: Sequence[str]
    train: Source
    held_out: Mapping[str, Source]

    @property
    def num_outputs(self) -> int:
        """A logit a class, or the score."""
        return len(self.class_names) or 1


def load(data: config_dict.ConfigDict) -> list[TextTask]:
    """Opens the tasks that a config's `data` describes.

    Raises:
      ValueError: an unknown source or task, or malformed files.
      FileNotFoundError: the data is not there, or not prepared.
    """
    check_known("data.source", data.source, SOURCES)
    if not data.tasks or len(set(data.tasks)) < len(data.tasks):
        raise ValueError(f"data.tasks={tuple(data.tasks)} must be names, each once.")
    return [SOURCES[data.source](data, name) for name in data.tasks]


def _glue(data, name, open_split: Callable[..., Source]) -> TextTask:
    task = glue.find_task(name)
    kinds = {"validation": task.validation_splits, "test": task.test_splits}
    check_known("data.held_out", data.held_out, kinds)
    return TextTask(
        name,
        task.class_names,
        task.metrics,
        open_split(task, "train", data.dir or None),
        {
            name + split.removeprefix(data.held_out): open_split(
                task, split, data.dir or None
            )
            for split in kinds[data.held_out]
        },
    )


def _tfds(data, name) -> TextTask:
    return _glue(data, name, glue_data.tfds_source)


def _tsv(data, name) -> TextTask:
    if not data.dir:
        raise ValueError("data.source='tsv' needs --config.data.dir=FOLDER.")
    return _glue(data, name, glue_data.tsv_source)


def _files(data, name) -> TextTask:
    """DIR/TASK/train.csv and test.csv, or .tsv, or .jsonl."""
    folder = pathlib.Path(data.dir, name)
    train = labelled.read_labelled(_only_file(folder, "train"))
    test = labelled.read_labelled(
        _only_file(folder, data.held_out), train.class_names, train.text_columns
    )
    return TextTask(name, train.class_names, ("accuracy",), train, {name: test})


def _only_file(folder: pathlib.Path, stem: str) -> pathlib.Path:
    found = [
        folder / f"{stem}{suffix}"
        for suffix in labelled.SUFFIXES
        if (folder / f"{stem}{suffix}").is_file()
    ]
    if len(found) != 1:
        named = " and ".join(map(str, found)) or "none"
        raise FileNotFoundError(
            f"{folder} needs one file {stem}{' or '.join(labelled.SUFFIXES)}: "
            f"there is {named}."
        )
    return found[0]


def _python_docs(data, name) -> TextTask:
    """One of DOCS_TASKS on Python's documentation; a tenth of the texts held out."""
    del data
    check_known("data.tasks", name, DOCS_TASKS)
    found = [
        (document.is_held_out, text, label)
        for document in python_docs.documents()
        for text, label in DOCS_TASKS[name](document)
    ]
    counts = collections.Counter(label for _, _, label in found)
    names = sorted(label for label, count in counts.items() if count >= MIN_EXAMPLES)
    path = pathlib.Path("python_docs", name)
    train, test = (
        labelled.LabelledTexts(
            path,
            [
                labelled.LabelledText((text,), names.index(label), row, row)
                for row, (held_out, text, label) in enumerate(found)
                if held_out == side and label in names
            ],
            names,
            ("text",),
        )
        for side in (False, True)
    )
    return TextTask(name, names, ("accuracy",), train, {name: test})


MIN_EXAMPLES = 100  # of a class; packages with fewer docstrings are left out
PART = 64  # bytes of a text that may be misspelled
MAX_PARTS = 10  # of a document
MIN_LETTERS = 30  # of a part
Labelled = Iterator[tuple[bytes, str]]


def _package(document: python_docs.Document) -> Labelled:
    """Which package of the standard library is it from?"""
    if document.kind != "topic":
        yield document.text, document.package


def _kind(document: python_docs.Document) -> Labelled:
    """Is it of a function, a class or a module?"""
    if document.kind != "topic":
        yield document.text, document.kind


def _replaced(document: python_docs.Document) -> Labelled:
    """Were two of its letters replaced by others?"""

    def replace(part, rng):
        places = rng.choice(_letters(part), 2, replace=False)
        part[places] = (part[places] - ord("a") + rng.integers(1, 26, 2)) % 26
        part[places] += ord("a")

    return _misspell(document, replace)


def _swapped(document: python_docs.Document) -> Labelled:
    """Was each of two letters swapped with the byte before it?"""

    def swap(part, rng):
        places = _letters(part)[1:]
        places = places[part[places] != part[places - 1]]
        for place in rng.choice(places, 2, replace=False):
            part[[place - 1, place]] = part[[place, place - 1]]

    return _misspell(document, swap)


def _misspell(document, change: Callable[[np.ndarray, np.random.Generator], None]):
    rng = np.random.default_rng(zlib.crc32(document.text))
    for start in range(0, min(len(document.text), MAX_PARTS * PART), PART):
        part = np.frombuffer(document.text[start : start + PART], np.uint8).copy()
        if len(_letters(part)) < MIN_LETTERS:
            continue
        if rng.random() < 0.5:
            yield part.tobytes(), "correct"
        else:
            change(part, rng)
            yield part.tobytes(), "misspelled"


def _letters(part: np.ndarray) -> np.ndarray:
    return np.flatnonzero((part >= ord("a")) & (part <= ord("z")))


DOCS_TASKS: dict[str, Callable[[python_docs.Document], Labelled]] = {
    "package": _package,
    "kind": _kind,
    "replaced": _replaced,
    "swapped": _swapped,
}

SOURCES: dict[str, Callable[[config_dict.ConfigDict, str], TextTask]] = {
    "tfds": _tfds,
    "tsv": _tsv,
    "files": _files,
    "python_docs": _python_docs,
}
