"""Progress on the console, metrics.jsonl, TensorBoard event files."""

import json
import logging
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tensorboardX

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
        """
        self._active = active
        if not active:
            return
        self._workdir = workdir
        self._path = workdir / METRICS
        _drop_after(self._path, start_step, is_evaluated)
        self._board = tensorboardX.SummaryWriter(
            str(workdir / "tensorboard"), purge_step=start_step + 1, max_queue=100
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one row of numbers, flushed: a killed run keeps its rows."""
        if not self._active:
            return
        row = {"step": step, **{k: float(v) for k, v in values.items()}}
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        self._board.flush()

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Writes images [h, w, 3] uint8 to TensorBoard."""
        if not self._active:
            return
        for name, picture in pictures.items():
            self._board.add_image(name, picture, step, dataformats="HWC")
        self._board.flush()

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Writes Markdown to the console and TensorBoard."""
        if not self._active:
            return
        for name, text in texts.items():
            logger.info("%s\n%s", name, text)
            self._board.add_text(name, text, step)
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
    return [_parse(path, line) for line in _whole_lines(path)]


def _drop_after(path: pathlib.Path, step: int, is_evaluated: bool) -> None:
    if not path.exists():
        return

    def is_kept(row):
        was_trained = any(name.startswith("train/") for name in row)
        return row["step"] < step or (
            row["step"] == step and (is_evaluated or was_trained)
        )

    kept = [line for line in _whole_lines(path) if is_kept(_parse(path, line))]
    new = path.with_suffix(".tmp")
    new.write_text("".join(kept))
    new.replace(path)


def _whole_lines(path: pathlib.Path) -> list[str]:
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _parse(path: pathlib.Path, line: str) -> dict[str, float]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged: remove its line {line.strip()[:60]!r}."
        ) from error


def show(values: Mapping[str, float]) -> str:
    """Formats metrics for one line of the console."""
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
