"""Which files have which labels: own CSV files, Kinetics-700-2020 and AudioSet."""

import csv
import logging
import math
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from perceiver_jax.data.audio import files as audio
from perceiver_jax.data.sources import files_below
from perceiver_jax.data.text import delimited
from perceiver_jax.data.video import files as video

logger = logging.getLogger(__name__)

_NAMED = 5  # at most, of the files that are missing

Path = str | os.PathLike[str]


class Segment(NamedTuple):
    """A labelled part of a file.

    Attributes:
      path: of the file.
      label: the id of each class that it has.
      start: in seconds of the file.
      end: in seconds; None is the end of the file.
    """

    path: str
    label: tuple[int, ...]
    start: float = 0.0
    end: float | None = None


class Listing(NamedTuple):
    """Labelled files, and the name of every class id."""

    segments: Sequence[Segment]
    class_names: Sequence[str]


class _Row(NamedTuple):
    """What a row of a list says: a file by its name, or some, and a part of it."""

    line: int
    classes: tuple[str, ...]
    name: str
    start: float = 0.0
    end: float | None = None


def read_csv(
    path: Path, folder: Path, class_names: Sequence[str] | None = None
) -> Listing:
    """Reads a CSV file of one's own, with columns file, label and perhaps start, end.

    A file of several classes, or of which several parts are labelled, has several rows.
    Files that are missing are named in the log and left out.

    Args:
      path: the CSV file, with a header. `start` and `end` are seconds; an empty one is
        the start or end of the file.
      folder: that `file` is looked for in.
      class_names: the class of every id. An evaluation list needs those of the training
        list, because it may lack a class and ids would shift. None numbers the labels
        in sorted order.

    Raises:
      FileNotFoundError: there is no such list, or none of its files.
      ValueError: a column is missing, a label is not known, or a time is none; the
        message names the line.
    """
    rows = []
    for line, fields in _read_fields(path, ("file", "label")):
        where = f"{path} line {line}"
        start = _seconds(fields.get("start") or "0", where)
        end = fields.get("end")
        rows.append(
            _Row(
                line,
                (fields["label"],),
                fields["file"],
                start,
                _seconds(end, where, after=start) if end else None,
            )
        )
    names = _class_names(rows) if class_names is None else class_names
    labels = _labels(path, rows, names)
    below = pathlib.Path(folder)
    found = {
        n: str(below / n) for n in {row.name for row in rows} if (below / n).is_file()
    }
    merged: dict[tuple[str, float, float | None], list[int]] = {}
    for row, (label,) in zip(rows, labels):
        merged.setdefault((row.name, row.start, row.end), []).append(label)
    segments = [
        Segment(found[name], tuple(dict.fromkeys(label)), start, end)
        for (name, start, end), label in merged.items()
        if name in found
    ]
    missing = [name for name, *_ in merged if name not in found]
    return _listing(path, folder, segments, missing, names)


def read_kinetics(
    path: Path, folder: Path, class_names: Sequence[str] | None = None
) -> Listing:
    """Reads an official list of Kinetics-700-2020, such as `train.csv`.

    Its columns are label, youtube_id, time_start, time_end and split. The files, named
    ID_START_END with seconds of six digits (`-0WZKTu0xT4_000002_000012.mp4`), hold
    the ten seconds of a row each; they lie in class folders or not. Files that are
    missing are named in the log and left out.

    Args:
      path: the list.
      folder: that the files are in, or below.
      class_names: see `read_csv`. They are those of all rows, so that ids do not depend
        on what files there are.

    Raises:
      FileNotFoundError: there is no such list, or none of its files.
      ValueError: see `read_csv`; or two files in the folder have one name.
    """
    rows = []
    columns = ("label", "youtube_id", "time_start", "time_end")
    for line, fields in _read_fields(path, columns):
        start, end = (
            _seconds(fields[name], f"{path} line {line}") for name in columns[2:]
        )
        name = f"{fields['youtube_id']}_{start:06.0f}_{end:06.0f}"
        rows.append(_Row(line, (fields["label"],), name))
    names = _class_names(rows) if class_names is None else class_names
    labels = _labels(path, rows, names)
    stems = _by_stem(folder, video.SUFFIXES)
    segments = [
        Segment(stems[row.name], label)
        for row, label in zip(rows, labels)
        if row.name in stems
    ]
    missing = [row.name for row in rows if row.name not in stems]
    return _listing(path, folder, segments, missing, names)


def read_audioset(
    path: Path, classes: Path, folder: Path, whole_videos: bool = False
) -> Listing:
    """Reads an official list of AudioSet, such as `balanced_train_segments.csv`.

    After three lines of comment, a row is `YTID, start, end, "mid,mid"`. A file, of
    video or of sound, is named by the row's YTID alone, or by ID_START_END as those of
    Kinetics are; it may lie in a folder below. Files that are missing are named in the
    log and left out.

    Args:
      path: the list.
      classes: the official `class_labels_indices.csv`, with columns index, mid and
        display_name.
      folder: that the files are in, or below.
      whole_videos: whether a file named by YTID alone holds the whole video, which the
        segment is then cut out of; mostly it is just the ten seconds.

    Raises:
      FileNotFoundError: there is no such list, or none of its files.
      ValueError: see `read_csv`; or two files in the folder have one name.
    """
    mids, names = _audioset_classes(classes)
    rows = list(_audioset_rows(path))
    labels = _labels(path, rows, mids)
    stems = _by_stem(folder, (*video.SUFFIXES, *audio.SUFFIXES))
    segments, missing = [], []
    for row, label in zip(rows, labels):
        cut = f"{row.name}_{row.start:06.0f}_{row.end:06.0f}"
        if cut in stems:
            segments.append(Segment(stems[cut], label))
        elif row.name in stems:
            part = (row.start, row.end) if whole_videos else (0.0, None)
            segments.append(Segment(stems[row.name], label, *part))
        else:
            missing.append(row.name)
    return _listing(path, folder, segments, missing, names)


def _audioset_rows(path: Path) -> Iterable[_Row]:
    with pathlib.Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for fields in reader:
            if not fields or fields[0].startswith("#"):
                continue
            where = f"{path} line {reader.line_num}"
            if len(fields) != 4:
                raise ValueError(
                    f'{where} has {len(fields)} fields instead of YTID, start, end, "'
                    'mid,mid"; is it an official list of segments?'
                )
            name, start, end, mids = fields
            first = _seconds(start, where)
            last = _seconds(end, where, after=first)
            classes = tuple(mid.strip() for mid in mids.split(","))
            yield _Row(reader.line_num, classes, name, first, last)


def _audioset_classes(path: Path) -> tuple[list[str], list[str]]:
    """Returns the machine's and the displayed name of every class id."""
    rows = _read_fields(path, ("index", "mid", "display_name"))
    for number, (line, fields) in enumerate(rows):
        if fields["index"] != str(number):
            raise ValueError(
                f"{path} line {line} has the index {fields['index']} instead of"
                f" {number}; use the official file as it is"
            )
    mids, names = ([f[c] for _, f in rows] for c in ("mid", "display_name"))
    return mids, names


def _read_fields(
    path: Path, columns: Sequence[str]
) -> list[tuple[int, dict[str, str]]]:
    """Returns the line and the fields, without white space around, of every row."""
    known = "label" if "label" in columns else columns[0]
    rows = delimited.read(pathlib.Path(path), ",", known=known)
    if not rows:
        raise ValueError(
            f"{path} has no rows; it needs the columns {', '.join(columns)}"
        )
    found = list(rows[0][1])
    missing = [name for name in columns if name not in found]
    if missing:
        raise ValueError(
            f"{path} has no column {' and '.join(missing)}, but {', '.join(found)};"
            " correct its first line"
        )
    return [(line, {n: f.strip() for n, f in row.items()}) for line, row in rows]


def _seconds(text: str, where: str, after: float = -1.0) -> float:
    """Returns a time; raises ValueError where it is none, or not after another."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0 and seconds > after):
        beyond = f", after {after:g}" if after >= 0 else ""
        raise ValueError(f"{where} has the time {text!r}; give seconds{beyond}")
    return seconds


def _class_names(rows: Sequence[_Row]) -> list[str]:
    return sorted({name for row in rows for name in row.classes})


def _labels(
    path: Path, rows: Sequence[_Row], class_names: Sequence[str]
) -> list[tuple[int, ...]]:
    """Returns the class ids of every row."""
    ids = {name: number for number, name in enumerate(class_names)}
    known: dict[tuple[str, ...], tuple[int, ...]] = {}  # equal labels are one object
    for row in rows:
        unknown = [n for n in row.classes if not n or n not in ids]
        if unknown:
            raise ValueError(
                f"{path} line {row.line} has the label {unknown[0]!r}, which is not"
                f" among the {len(ids)} known classes, such as"
                f" {', '.join(class_names[:5])}; correct it, or train with it"
            )
        if row.classes not in known:
            known[row.classes] = tuple(ids[name] for name in row.classes)
    return [known[row.classes] for row in rows]


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, str]:
    """Returns the files in a folder and below, by their names without suffix."""
    stems: dict[str, str] = {}
    for path in files_below(pathlib.Path(folder), suffixes):
        other = stems.setdefault(path.stem, str(path))
        if other != str(path):
            raise ValueError(f"{other} and {path} have one name: move one elsewhere")
    return stems


def _listing(
    path: Path,
    folder: Path,
    segments: Sequence[Segment],
    missing: Sequence[str],
    class_names: Sequence[str],
) -> Listing:
    """Returns what was found; logs what was not."""
    if not segments:
        raise FileNotFoundError(
            f"none of the {len(missing)} files that {path} lists are in {folder}, such"
            f" as {', '.join(missing[:_NAMED])}"
        )
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = ", ".join(missing[:_NAMED]) + more
        logger.warning(
            "%s: left out %d that have no file in %s: %s",
            *(path, len(missing), folder, named),
        )
    return Listing(segments, class_names)
