"""The table of a sweep: on the terminal, as CSV, as Markdown."""

import csv
import io
import math
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from perceiver_jax import extras
from scripts.sweeps import status as states
from scripts.sweeps.grid import spell
from scripts.sweeps.runs import Run, swept_fields
from scripts.sweeps.status import LOSS, SCORE, Measured, Status

rich = extras.Library("rich", "console", "live", "table", "text", extra="sweep")

STYLES = {
    states.RUNNING: "bold cyan",
    states.FINISHED: "green",
    states.STOPPED: "yellow",
    states.KILLED: "red",
    states.FAILED: "bold red",
    states.CHANGED: "magenta",
}
FAILURES = (states.STOPPED, states.KILLED, states.FAILED, states.CHANGED)
COLUMNS = ("status", "step", LOSS, SCORE, "best score", "time left")


class Row(NamedTuple):
    """A run and how it stands."""

    run: Run
    status: Status
    measured: Measured

    def cells(self) -> list[str]:
        """Returns the texts of COLUMNS."""
        state, note, step, total = self.status
        phase = f" ({note})" if note and state == states.RUNNING else ""
        best = f"{number(self.measured.best)} at {self.measured.best_step}"
        return [
            state + phase,
            f"{step}/{total}" if total else "",
            number(self.measured.last.get(LOSS, math.nan)),
            number(self.measured.last.get(SCORE, math.nan)),
            "" if math.isnan(self.measured.best) else best,
            clock(states.seconds_left(self.status, self.measured)),
        ]


class View:
    """Shows rows as they change: in place on a terminal, else a line a change."""

    def __init__(self):
        """Shows nothing yet."""
        self._console = rich.console.Console()
        self._live = rich.live.Live(
            console=self._console, auto_refresh=False, vertical_overflow="ellipsis"
        )
        self._shown: dict[str, str] = {}

    def __enter__(self) -> "View":
        """Takes the terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Gives it back."""
        self._live.stop()

    def show(self, rows: Sequence[Row]) -> None:
        """Shows how the runs stand now."""
        if self._console.is_terminal:
            self._live.update(draw(rows), refresh=True)
            return
        for row in rows:
            state = row.status.state
            before = self._shown.get(row.run.name, states.WAITING)
            if state != before:
                self.tell(line(row))
            self._shown[row.run.name] = state

    def tell(self, text: str) -> None:
        """Says something, above the table."""
        if self._console.is_terminal:
            self._live.console.print(rich.text.Text(text))
        else:
            print(time.strftime("%H:%M:%S"), text, flush=True)


def draw(rows: Sequence[Row]) -> Any:
    """Returns the table for the terminal."""
    table = rich.table.Table(box=None, caption=summary(rows), caption_justify="left")
    table.add_column("run", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "status" else "right")
    for row in rows:
        style = STYLES.get(row.status.state, "dim")
        first, *others = row.cells()
        table.add_row(
            rich.text.Text(row.run.name), rich.text.Text(first, style), *others
        )
    return table


def summary(rows: Sequence[Row]) -> str:
    """Returns how many runs there are of each state."""
    found = [row.status.state for row in rows]
    counts = [f"{found.count(state)} {state}" for state in dict.fromkeys(found)]
    return f"{len(rows)} runs: {', '.join(counts)}"


def line(row: Row) -> str:
    """Returns a run's state as one line."""
    state, note, step, total = row.status
    parts = [f"{row.run.name}: {state}"]
    parts += [f"at step {step}/{total}"] if step else []
    if not math.isnan(row.measured.best):
        best = f"{number(row.measured.best)} at {row.measured.best_step}"
        parts.append(f"{SCORE} {number(row.measured.last[SCORE])}, best {best}")
    return ", ".join(parts) + (f": {note}" if note and state in FAILURES else "")


def csv_text(rows: Sequence[Row]) -> str:
    """Returns a line a run, with all its last metrics, in full."""
    swept = swept_fields(row.run for row in rows)
    metrics = sorted({name for row in rows for name in row.measured.last} - {"step"})
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    about = ("run", "status", "note", "step", "total_steps")
    writer.writerow([*about, *swept, *metrics, f"best {SCORE}", f"best {SCORE} step"])
    for run, status, measured in rows:
        has_best = not math.isnan(measured.best)
        writer.writerow(
            [
                *(run.name, *status),
                *(spell(run.value(field)) for field in swept),
                *(measured.last.get(name, "") for name in metrics),
                *((measured.best, measured.best_step) if has_best else ("", "")),
            ]
        )
    return file.getvalue()


def markdown(rows: Sequence[Row], plots: Mapping[str, str]) -> str:
    """Returns a page: the table, best run first, and the plots, {title: file}."""
    swept = swept_fields(row.run for row in rows)
    head = [*swept, *COLUMNS[:-1]]
    files = sorted({row.run.config_file for row in rows})
    lines = [f"# Sweep of {', '.join(files)}", "", f"{summary(rows)}.", ""]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in sorted(rows, key=_rank):
        values = [spell(row.run.value(field)) for field in swept]
        lines.append(f"| {' | '.join([*values, *row.cells()[:-1]])} |")
    troubled = [row for row in rows if row.status.state in FAILURES]
    if troubled:
        lines += ["", *(f"- {line(row)}" for row in troubled)]
    for title, file in plots.items():
        lines += ["", f"![{title}]({file})"]
    return "\n".join(lines) + "\n"


def write(path: pathlib.Path, text: str) -> None:
    """Replaces a file as a whole."""
    new = path.with_suffix(".tmp")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def number(value: float) -> str:
    """Returns a metric for people, "" for NaN."""
    return "" if math.isnan(value) else f"{value:.4g}"


def clock(seconds: float) -> str:
    """Returns a time for people, "" for NaN."""
    if math.isnan(seconds):
        return ""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def _rank(row: Row) -> float:
    return math.inf if math.isnan(row.measured.best) else -row.measured.best
