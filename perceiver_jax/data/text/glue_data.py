"""GLUE's examples, from TFDS or the official files, and files for its server.

Examples are those of `labelled.LabelledTexts`.
"""

import codecs
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from perceiver_jax.data import tfds
from perceiver_jax.data.sources import Example, Source
from perceiver_jax.data.text.glue import GlueTask
from perceiver_jax.data.text.labelled import LabelledText, LabelledTexts

logger = logging.getLogger(__name__)


def tfds_source(task: GlueTask, split: str, data_dir: str | None = None) -> Source:
    """Opens a split of TFDS; `data_dir` and errors are those of `tfds.open_split`."""
    name = f"glue/{task.name}"
    examples, _ = tfds.open_split(name, split, data_dir)
    return _TfdsTexts(examples, task, f"{name} {split}")


class _TfdsTexts:
    """Examples as those of `LabelledTexts`, read when they are asked for."""

    def __init__(self, examples: Any, task: GlueTask, title: str):
        self._examples = examples
        self._task = task
        self._title = title

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        index = range(len(self))[index]  # IndexError where TFDS raises ValueError
        example = self._examples[index]
        label = (int if self._task.class_names else float)(example["label"])
        return {
            "texts": tuple(example[field] for field in self._task.fields),
            "label": None if label == -1 else label,
            "index": int(example["idx"]),  # TFDS shuffles when it prepares
            "name": f"{self._title} example {index}",
        }


# CoLA's files lack a header, except for the test file.
_COLA_HEADER = ["source", "label", "original label", "sentence"]


def tsv_source(
    task: GlueTask, split: str, folder: str | os.PathLike[str]
) -> LabelledTexts:
    """Reads a split of the official download (gluebenchmark.com/tasks).

    Like TFDS, it leaves out rows that lack a field, as some of QQP do, and logs how
    many.

    Args:
      task: one of `glue.TASKS`.
      split: as in TFDS, such as "train" or "validation_matched".
      folder: holds the folders of all tasks, such as CoLA.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: the split is unknown, or the file lacks a column, has a wrong label,
        or a test example that lacks a field.
    """
    splits = ("train", *task.validation_splits, *task.test_splits)
    if split not in splits:
        raise ValueError(f"{task.name} has no split {split!r}, but {', '.join(splits)}")
    path = pathlib.Path(
        folder, task.folder, split.replace("validation", "dev") + ".tsv"
    )
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; unpack the official download of {task.folder}"
            f" (gluebenchmark.com/tasks) in {folder}"
        )
    is_test = split in task.test_splits
    columns = task.columns if is_test else (*task.columns, task.label_column)
    header = _COLA_HEADER if task.name == "cola" and not is_test else None

    rows = []
    num_lacking = 0
    for index, (line, fields) in enumerate(_read_fields(path, columns, header)):
        if len(fields) == len(columns) and (is_test or fields[-1]):
            texts = tuple(fields[: len(task.columns)])
            label = None if is_test else _parse_label(task, fields[-1], path, line)
            rows.append(LabelledText(texts, label, index, line))
        elif is_test:
            raise ValueError(
                f"{path} line {line} lacks a field, but every test example needs a"
                " prediction; download the file again"
            )
        else:
            num_lacking += 1
    if not rows:
        raise ValueError(f"{path} holds no examples; download it again")
    if num_lacking:
        logger.warning("%s: left out %d rows that lack a field", path, num_lacking)
    return LabelledTexts(path, rows, task.class_names, task.columns)


def _read_fields(
    path: pathlib.Path, columns: Sequence[str], header: list[str] | None
) -> Iterator[tuple[int, list[bytes]]]:
    """Yields every row's line, from 1, and fields in `columns`, fewer if it is short.

    Args:
      path: tab-separated; nothing is quoted, and a quote is a character of the text.
      columns: to read.
      header: of a file that has none.
    """
    lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    if not any(lines):
        raise ValueError(f"{path} is empty; download it again")
    rows = [(number, row.split(b"\t")) for number, row in enumerate(lines, 1) if row]
    if header is None:
        header = [name.decode(errors="replace") for name in rows.pop(0)[1]]
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(
            f"{path} line 1 has no column {' and '.join(missing)}, but"
            f" {', '.join(header)}; is it the file of another task?"
        )
    places = [header.index(name) for name in columns]
    for number, fields in rows:
        yield number, [fields[place] for place in places if place < len(fields)]


def _parse_label(
    task: GlueTask, written: bytes, path: pathlib.Path, line: int
) -> int | float:
    text = written.decode(errors="replace")
    try:
        return task.labels.index(text) if task.labels else float(text)
    except ValueError as error:
        known = ", ".join(task.labels) or "a number"
        raise ValueError(
            f"{path} line {line} has the label {text!r}, not {known}; is it the file"
            " of another task?"
        ) from error


def write_predictions(
    folder: str | os.PathLike[str],
    task: GlueTask,
    split: str,
    indices: np.ndarray,
    predictions: np.ndarray,
    num_examples: int,
) -> pathlib.Path:
    """Writes the predictions of a test split as gluebenchmark.com wants them.

    A submission is a zip archive of the files of all tasks, with WNLI.tsv and AX.tsv,
    such as those of the site's sample submission.

    Args:
      folder: where to write; made if missing.
      task: one of `glue.TASKS`.
      split: one of `task.test_splits`.
      indices: [n] int, the `index` of every example, in any order.
      predictions: [n], class ids or scores.
      num_examples: of the split.

    Returns:
      The file, such as CoLA.tsv or MNLI-mm.tsv.

    Raises:
      ValueError: the split is no test split, an example has no prediction or two, or a
        prediction is no class id or not finite.
    """
    if split not in task.test_splits:
        raise ValueError(
            f"{split!r} is no test split of {task.name}: {', '.join(task.test_splits)}"
        )
    if len(indices) != len(predictions) or not np.array_equal(
        np.sort(indices), np.arange(num_examples)
    ):
        raise ValueError(
            f"{len(predictions)} predictions of {len(np.unique(indices))} examples are"
            f" not one of each of the {num_examples} in {split} of {task.name}"
        )
    predictions = np.asarray(predictions)[np.argsort(indices)]
    if task.labels:
        if not np.isin(predictions, range(len(task.labels))).all():
            raise ValueError(
                f"predictions of {task.name} must be class ids below"
                f" {len(task.labels)}, got {np.unique(predictions)}"
            )
        written = [task.labels[int(prediction)] for prediction in predictions]
    else:
        if not np.isfinite(predictions).all():
            raise ValueError(f"predictions of {task.name} are not all finite")
        written = [f"{score:.3f}" for score in np.clip(predictions, 0, 5)]

    section = {"test_matched": "-m", "test_mismatched": "-mm"}.get(split, "")
    path = pathlib.Path(folder, f"{task.folder}{section}.tsv")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{index}\t{label}\n" for index, label in enumerate(written)]
    path.write_text("index\tprediction\n" + "".join(lines))
    return path
