"""The tasks of classifying and scoring texts that a config's `data` describes."""

import collections
import difflib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ml_collections import config_dict

from perceiver_jax.data import glue, labelled, python_docs
from perceiver_jax.data.sources import Source


class TextTask(NamedTuple):
    """One task. Examples are those of `labelled.LabelledTexts`.

    Attributes:
      name: of the task.
      class_names: the name of every class id; none for a score.
      metrics: of glue.compute_metrics; the first counts in the average.
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
    if data.source not in SOURCES:
        raise ValueError(
            f"data.source='{data.source}' is unknown: use {', '.join(SOURCES)}."
        )
    if not data.tasks or len(set(data.tasks)) < len(data.tasks):
        raise ValueError(f"data.tasks={tuple(data.tasks)} must be names, each once.")
    return [SOURCES[data.source](data, name) for name in data.tasks]


def _glue(data, name, open_split: Callable[..., Source]) -> TextTask:
    task = glue.find_task(name)
    kinds = {"validation": task.validation_splits, "test": task.test_splits}
    if data.held_out not in kinds:
        raise ValueError(
            f"data.held_out='{data.held_out}' is unknown: use {', '.join(kinds)}."
        )
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
    return _glue(data, name, glue.tfds_source)


def _tsv(data, name) -> TextTask:
    if not data.dir:
        raise ValueError("data.source='tsv' needs --config.data.dir=FOLDER.")
    return _glue(data, name, glue.tsv_source)


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
    """Which package, or which kind of thing, a docstring is of; a tenth held out."""
    if name not in DOCS_TASKS:
        near = difflib.get_close_matches(name, DOCS_TASKS, 1, 0)[0]
        raise ValueError(
            f"data.tasks has '{name}'; Python's documentation has "
            f"{', '.join(DOCS_TASKS)}: did you mean {near}?"
        )
    label_of = DOCS_TASKS[name]
    documents = [d for d in python_docs.documents() if d.kind != "topic"]
    counts = collections.Counter(map(label_of, documents))
    names = sorted(label for label, n in counts.items() if n >= MIN_DOCS)
    sides = []
    for side in (False, True):
        chosen = [
            labelled.LabelledText((d.text,), names.index(label_of(d)), index, 1)
            for index, d in enumerate(documents)
            if d.is_held_out == side and label_of(d) in names
        ]
        path = pathlib.Path("python_docs", name)
        sides.append(labelled.LabelledTexts(path, chosen, names, ("text",)))
    train, test = sides
    del data
    return TextTask(name, names, ("accuracy",), train, {name: test})


MIN_DOCS = 100  # docstrings of a package that is a class
DOCS_TASKS: dict[str, Callable[[python_docs.Document], str]] = {
    "package": lambda document: document.package,
    "kind": lambda document: document.kind,
}

SOURCES: dict[str, Callable[[config_dict.ConfigDict, str], TextTask]] = {
    "tfds": _tfds,
    "tsv": _tsv,
    "files": _files,
    "python_docs": _python_docs,
}
