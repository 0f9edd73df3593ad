"""Labelled texts, or pairs of texts, from CSV, TSV and JSONL files of one's own."""

import codecs
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from perceiver_jax.data.sources import Example
from perceiver_jax.data.text import delimited
from perceiver_jax.data.text.delimited import ESCAPE

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*_DELIMITERS, ".jsonl")  # of files that can be read


class LabelledText(NamedTuple):
    """One labelled text.

    Attributes:
      texts: one, or a pair.
      label: class id or score; None where it is not known.
      row: its place among the rows of the file, from 0.
      line: its first line in the file, from 1.
    """

    texts: tuple[bytes, ...]
    label: int | float | None
    row: int
    line: int


class LabelledTexts:
    """The labelled texts of a file, in memory.

    An example is `{"texts": one or two bytes, "label": int | float | None, "index":
    int, "name": file and line}`.

    Attributes:
      class_names: the name of every class id; none for scores.
      text_columns: the columns that `texts` are from.
    """

    def __init__(
        self,
        path: pathlib.Path,
        rows: Sequence[LabelledText],
        class_names: Sequence[str],
        text_columns: Sequence[str],
    ):
        """Takes the rows of the file `path`."""
        self._path = path
        self._rows = rows
        self.class_names = list(class_names)
        self.text_columns = list(text_columns)

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`."""
        found = self._rows[index]
        return {
            "texts": found.texts,
            "label": found.label,
            "index": found.row,
            "name": f"{self._path} line {found.line}",
        }


def read_labelled(
    path: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    text_columns: Sequence[str] | None = None,
) -> LabelledTexts:
    r"""Reads a file of texts to classify.

    A .csv or .tsv file has a header, and its fields are quoted as spreadsheets do it:
    a field with a delimiter, line break or quote stands in quotes, which are doubled
    inside. A .jsonl file has one JSON object a line. Texts are the file's own bytes,
    valid UTF-8 or not; white space around labels and names of columns does not count.

    Args:
      path: the file; its column `label` holds the name of each example's class.
      class_names: the class of every id. An evaluation file needs those of the
        training file, because it may lack a class and ids would shift. None numbers
        the labels in sorted order.
      text_columns: one, or two for pairs, also those of the training file; None is
        `text`, with `text2` where there is one.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is of another kind, empty or malformed, lacks a column, a
        field or a label, has a label that is not among `class_names`, or only one
        class to learn. The message names the line.
    """
    path = pathlib.Path(path)
    records = _read_records(path)
    columns = list(dict.fromkeys(name for _, record in records for name in record))
    if text_columns is None:
        text_columns = ("text", "text2") if "text2" in columns else ("text",)
    missing = [name for name in (*text_columns, "label") if name not in columns]
    if missing:
        raise ValueError(
            f"{path} has no column {' and '.join(missing)}, but {', '.join(columns)};"
            f" {_hint(columns)}"
        )

    labels = [_label(record, f"{path} line {line}") for line, record in records]
    if class_names is None:
        class_names = sorted(set(labels))
        if len(class_names) == 1:
            raise ValueError(
                f"{path} has the label {labels[0]!r} in all {len(labels)} rows, from"
                f" line {records[0][0]} on: there is nothing to learn; add examples of"
                " another class"
            )
    ids = {name: number for number, name in enumerate(class_names)}
    rows = []
    for index, ((line, record), label) in enumerate(zip(records, labels)):
        where = f"{path} line {line}"
        if label not in ids:
            raise ValueError(
                f"{where} has the label {label!r}, which is not among the {len(ids)}"
                f" known classes, such as {', '.join(class_names[:5])}; correct it, or"
                " train with it"
            )
        texts = tuple(_text(record, name, where) for name in text_columns)
        rows.append(LabelledText(texts, ids[label], index, line))
    return LabelledTexts(path, rows, class_names, text_columns)


def _hint(columns: Sequence[str]) -> str:
    """Returns what to do where columns are missing."""
    if len(columns) == 1:
        for delimiter, advice in (
            ("\t", "its fields stand between tabs: name it .tsv"),
            (";", "its fields stand between semicolons: save it with commas"),
            (",", "its fields stand between commas: name it .csv"),
        ):
            if delimiter in columns[0]:
                return advice
    return "rename a column, or name the columns of texts, in the first line"


def _read_records(path: pathlib.Path) -> Sequence[tuple[int, Mapping[str, Any]]]:
    """Returns the first line, from 1, and the fields of every row."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file; give a {' or '.join(SUFFIXES)} file with columns"
            " text and label"
        )
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} is not named {' or '.join(SUFFIXES)}; convert it")
    with path.open("rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or 0 in start:
        raise ValueError(f"{path} is UTF-16; save it as UTF-8")
    records: Sequence[tuple[int, Mapping[str, Any]]]
    if suffix in _DELIMITERS:
        records = delimited.read(path, _DELIMITERS[suffix], known="label")
    else:
        records = list(_read_json_lines(path))
    if not records:
        raise ValueError(f"{path} holds no examples; add one a line")
    return records


def _read_json_lines(path: pathlib.Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", errors=ESCAPE) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(
                    f"{path} line {line} is not JSON: {error}; write one object a line"
                ) from error
            if not isinstance(record, dict):
                raise ValueError(
                    f"{path} line {line} is no JSON object but {text.strip()[:50]!r};"
                    ' write {"text": ..., "label": ...}'
                )
            yield line, record


def _label(record: Mapping[str, Any], where: str) -> str:
    label = record.get("label")
    if isinstance(label, bool | int | float):
        return json.dumps(label)
    if not isinstance(label, str) or not label.strip():
        raise ValueError(
            f"{where} has the label {label!r}; give the name of a class, or remove it"
        )
    try:
        label.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} has the label {label!r}, which is not UTF-8; save the file as"
            " UTF-8"
        ) from error
    return label.strip()


def _text(record: Mapping[str, Any], name: str, where: str) -> bytes:
    text = record.get(name)
    if not isinstance(text, str):
        raise ValueError(f"{where} has {text!r} as {name}; give a text, or remove it")
    try:
        return text.encode(errors=ESCAPE)
    except UnicodeEncodeError as error:  # half of an escaped pair, as in "\ud83d"
        raise ValueError(
            f"{where} has in {name} what is no character: {error}; correct it"
        ) from error
