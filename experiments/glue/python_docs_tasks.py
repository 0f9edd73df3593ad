"""Tasks on Python's documentation, which every machine with Python has."""

import collections
import pathlib
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from experiments.checks import check_known
from perceiver_jax.data.text import labelled, python_docs

MIN_EXAMPLES = 100  # of a class; packages with fewer docstrings are left out
PART = 64  # bytes of a text that may be misspelled
MAX_PARTS = 10  # of a document
MIN_LETTERS = 30  # of a part
Labelled = Iterator[tuple[bytes, str]]


def load(name: str) -> tuple[labelled.LabelledTexts, labelled.LabelledTexts]:
    """Returns the texts of one of TASKS to train on, and a tenth, held out.

    Raises:
      ValueError: there is no such task.
    """
    check_known("data.tasks", name, TASKS)
    found = [
        (document.is_held_out, text, label)
        for document in python_docs.documents()
        for text, label in TASKS[name](document)
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
    return train, test


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


TASKS: dict[str, Callable[[python_docs.Document], Labelled]] = {
    "package": _package,
    "kind": _kind,
    "replaced": _replaced,
    "swapped": _swapped,
}
