"""Rows of CSV and TSV files, each with the line that it begins in."""

import csv
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

# Bytes that are not UTF-8 become surrogates, and encoded so are themselves again.
ESCAPE = "surrogateescape"


class _Row(NamedTuple):
    """The fields of a row, and its lines: from `start`, from 0, to before `end`.

    A row has several lines where a field in quotes has.
    """

    start: int
    end: int
    fields: list[str]


def read(
    path: pathlib.Path, delimiter: str, known: str
) -> list[tuple[int, dict[str, str]]]:
    """Reads a file with a header, quoted as spreadsheets do it.

    Args:
      path: the file.
      delimiter: what stands between fields.
      known: the name of a column of few values, such as labels. A row's lines that
        have one of these in its place look like rows themselves: so a quote that
        nothing closes is told from a text of several lines.

    Returns:
      The first line, from 1, and the fields by their columns' names, of every row.

    Raises:
      ValueError: a row has too few or too many fields, two columns have one name, or
        quotes do not fit. The message names the line.
    """
    # A spreadsheet may mark its file as UTF-8 with three bytes in front.
    with path.open(encoding="utf-8-sig", errors=ESCAPE, newline="") as file:
        lines = file.readlines()
    rows = _split_rows(path, lines, delimiter)
    if not rows:
        return []
    header = [name.strip() for name in rows.pop(0).fields]
    for name in header:
        if name and header.count(name) > 1:
            raise ValueError(
                f"{path} has {header.count(name)} columns {name}; rename all but one"
            )
    for row in rows:
        if len(row.fields) != len(header):
            raise ValueError(
                f"{path} line {row.start + 1} has {len(row.fields)} fields, the header"
                f" {len(header)}; quote a field that holds a delimiter"
            )
    if known in header:
        _check_quotes(path, lines, rows, delimiter, header.index(known))
    return [(row.start + 1, dict(zip(header, row.fields))) for row in rows]


def _split_rows(path: pathlib.Path, lines: Sequence[str], delimiter: str) -> list[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows = []
    start = 0
    try:
        for fields in reader:
            if fields:  # else an empty line
                rows.append(_Row(start, reader.line_num, fields))
            start = reader.line_num
    except csv.Error as error:
        raise ValueError(
            f"{path} line {start + 1}: {error}; quote a field that holds quotes and"
            " double these, or use a .jsonl file"
        ) from error
    return rows


def _check_quotes(
    path: pathlib.Path,
    lines: Sequence[str],
    rows: Sequence[_Row],
    delimiter: str,
    place: int,
) -> None:
    """Raises ValueError where a quote that nothing closes has swallowed rows.

    It opens a field that goes on to the next quote, some lines below, and the rows
    between are lost. A text may well have several lines; but not such that each of its
    row's lines, blank ones aside, is a row by itself: of as many fields, and with a
    known value in field `place`.
    """
    values = {row.fields[place].strip() for row in rows}
    for row in rows:
        if row.end - row.start == 1:
            continue
        first, *others = (
            next(csv.reader([line], delimiter=delimiter), [])
            for line in lines[row.start : row.end]
        )
        first[-1:] = first[-1].split(delimiter)  # the field that the quote opens
        if all(
            len(fields) == len(row.fields) and fields[place].strip() in values
            for fields in filter(None, [first, *others])
        ):
            raise ValueError(
                f"{path} line {row.start + 1}: a quote opens a field that goes on to"
                f" line {row.end}, over lines that look like rows; close the quote, or"
                " use a .jsonl file"
            )
