"""Progress on the console, metrics.jsonl, TensorBoard event files.

Each row is written once, however often a run was killed: what was written of steps that
come again is dropped before.
"""

import json
import logging
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from perceiver_jax.engine import event_files, files
from perceiver_jax.engine.task import Sound

logger = logging.getLogger(__name__)

METRICS = "metrics.jsonl"  # in a workdir: a row of numbers a line
PARAMETERS = "parameters.txt"  # in a workdir: name, size and shape of each


def log_to_console() -> None:
    """Shows what this library logs."""
    ours = logging.getLogger("perceiver_jax")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    ours.handlers = [handler]
    ours.setLevel(logging.INFO if jax.process_index() == 0 else logging.WARNING)
    ours.propagate = False


class Writer:
    """Writes what a run reports into its workdir; silent where not `active`."""

    def __init__(
        self,
        workdir: pathlib.Path,
        start_step: int,
        is_evaluated: bool = True,
        active: bool = True,
    ):
        """Opens the files of a run that starts, or goes on, after `start_step`.

        What an earlier run wrote of later steps is dropped, as those steps come again,
        and so are evaluations of this step unless it `is_evaluated`.

        Raises:
          ValueError: a line of metrics.jsonl is damaged.
          OSError: the files can't be written.
        """
        self._active = active
        if not active:
            return
        self._workdir = workdir
        self._path = workdir / METRICS
        board = workdir / "tensorboard"
        with files.named_in_errors(workdir):
            names = _drop_after(self._path, start_step, is_evaluated)
            event_files.drop(
                board,
                lambda step, tag: (
                    step < start_step
                    or (step == start_step and (is_evaluated or tag in names))
                ),
            )
            self._board = event_files.EventFile(board, start_step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one row of numbers, flushed: a killed run keeps its rows."""
        if not self._active:
            return
        row = {"step": step, **{k: float(v) for k, v in values.items()}}
        with files.named_in_errors(self._path):
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            for name, value in values.items():
                self._board.scalar(step, name, float(value))
            self._board.flush()

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Writes images [h, w, 3] uint8 to TensorBoard."""
        if not self._active:
            return
        with files.named_in_errors(self._workdir):
            for name, picture in pictures.items():
                self._board.picture(step, name, picture)
            self._board.flush()

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Writes Markdown to the console and TensorBoard."""
        if not self._active:
            return
        with files.named_in_errors(self._workdir):
            for name, text in texts.items():
                logger.info("%s\n%s", name, text)
                self._board.text(step, name, text)
            self._board.flush()

    def sounds(self, step: int, sounds: Mapping[str, Sound]) -> None:
        """Writes sounds to TensorBoard."""
        if not self._active:
            return
        with files.named_in_errors(self._workdir):
            for name, sound in sounds.items():
                self._board.sound(step, name, *sound)
            self._board.flush()

    def parameters(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        """Writes the table of parameters to a file, and logs the size of each part."""
        if not self._active:
            return
        sizes = {
            module: sum(math.prod(x.shape) for x in arrays.values())
            for module, arrays in params.items()
        }
        width = max(map(len, sizes))
        lines = [
            f"{module:{width}} {sizes[module]:14,}  "
            + "  ".join(f"{name} {list(x.shape)}" for name, x in arrays.items())
            for module, arrays in params.items()
        ]
        parts: dict[str, int] = {}
        for module, size in sizes.items():
            part = module.partition("/")[0]
            parts[part] = parts.get(part, 0) + size
        total = f"{sum(sizes.values()):,}"
        path = self._workdir / PARAMETERS
        path.write_text("\n".join([*lines, f"{'in all':{width}} {total:>14}", ""]))
        told = ", ".join(f"{part} {size:,}" for part, size in parts.items())
        logger.info("%s parameters: %s. All in %s.", total, told, path)

    def __enter__(self) -> "Writer":
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the event file."""
        if self._active:
            self._board.close()


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
    """Returns the rows of a run's metrics.jsonl.

    Half a line at its end, of a run that was killed while it wrote, is left out.
    """
    path = pathlib.Path(workdir) / METRICS
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: has this run been started?")
    return [row for _, row in _rows(path)]


def _drop_after(path: pathlib.Path, step: int, is_evaluated: bool) -> set[str]:
    """Drops rows that come again; returns what is kept of `step` itself, by name."""
    if not path.exists():
        return set()

    def is_kept(row):
        was_trained = any(name.startswith("train/") for name in row)
        return row["step"] < step or (
            row["step"] == step and (is_evaluated or was_trained)
        )

    kept = [(line, row) for line, row in _rows(path) if is_kept(row)]
    new = path.with_suffix(".tmp")
    new.write_bytes(b"".join(line for line, _ in kept))
    new.replace(path)
    return {name for _, row in kept if row["step"] == step for name in row}


def _rows(path: pathlib.Path) -> Iterator[tuple[bytes, dict[str, float]]]:
    """Yields the whole lines of metrics.jsonl, and the rows in them."""
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            return  # of a run that was killed while it wrote
        try:
            row = json.loads(line)
            float(row["step"])
        except (ValueError, KeyError, TypeError) as error:
            shown = line.decode(errors="replace").strip()[:60]
            raise ValueError(
                f"{path} is damaged in line {number}, {shown!r}: mend that line, or "
                "remove it and go without its numbers."
            ) from error
        yield line, row


def show(values: Mapping[str, float]) -> str:
    """Formats metrics for one line of the console."""
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
