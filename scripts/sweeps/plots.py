"""Pictures of a sweep: the curves of all runs, and the score against each field."""

import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from perceiver_jax import extras
from scripts.sweeps.grid import spell
from scripts.sweeps.runs import Run, swept_fields
from scripts.sweeps.status import FINISHED, LOSS, SCORE
from scripts.sweeps.table import Row

matplotlib = extras.Library(
    "matplotlib", "pyplot", "lines", "ticker", "colors", extra="sweep"
)

SEED = "seed"  # runs that differ in it alone look the same
LINES = ("-", "--", ":", "-.")
BLUE, HIGHLIGHT = "#1f5a8a", "#b3402e"
LOG_RATIO = 8  # values that span so much have a logarithmic axis


class Looks(NamedTuple):
    """How runs are told apart: by the colour and the style of their lines.

    Attributes:
      by_color: fields whose values choose the colour.
      by_line: fields whose values choose the style, one or none.
      colors: {values as text: colour}.
      lines: {values as text: style}.
    """

    by_color: Sequence[str]
    by_line: Sequence[str]
    colors: dict[str, Any]
    lines: dict[str, str]

    def of(self, run: Run) -> tuple[Any, str]:
        """Returns colour and style of a run."""
        color = self.colors[_text(run, self.by_color)]
        return color, self.lines[_text(run, self.by_line)]

    def put_beside(self, figure: Any) -> None:
        """Draws the legends at the right."""
        colors = [_handle(text, color=c) for text, c in self.colors.items()]
        lines = [_handle(t, color="0.3", ls=style) for t, style in self.lines.items()]
        for fields, handles, place in (
            (self.by_color, colors, "upper"),
            (self.by_line, lines, "lower"),
        ):
            if fields:
                figure.legend(
                    handles=handles,
                    title="\n".join(short(field) for field in fields),
                    alignment="left",
                    loc=f"outside right {place}",
                    frameon=False,
                )


def choose_looks(runs: Sequence[Run], shown: str = "") -> Looks:
    """Returns what tells runs apart.

    Args:
      runs: that are drawn.
      shown: a field that the horizontal axis shows already.
    """
    values = {
        field: {spell(run.value(field)) for run in runs}
        for field in swept_fields(runs)
        if field != shown
    }
    several = [field for field in values if len(values[field]) > 1]
    fields = [f for f in several if f != SEED] or (several if not shown else [])
    fields.sort(key=lambda field: -len(values[field]))
    by_color, by_line = fields, []
    if len(fields) == 2 and len(values[fields[1]]) <= len(LINES):
        by_color, by_line = fields[:1], fields[1:]
    texts = _texts(runs, by_color)
    return Looks(
        by_color,
        by_line,
        dict(zip(texts, _colors(len(texts)))),
        dict(zip(_texts(runs, by_line), LINES)),
    )


def draw_curves(rows: Sequence[Row]) -> Any:
    """Draws the training loss and the score of all runs, over the steps.

    Runs that look the same are thin lines, and their mean a thick one.
    """
    looks = choose_looks([row.run for row in rows])
    alike: dict[Any, list[Row]] = {}
    for row in rows:
        alike.setdefault(looks.of(row.run), []).append(row)
    figure, axes = matplotlib.pyplot.subplots(
        1, 2, figsize=(11, 4), layout="constrained"
    )
    for ax, metric, title in zip(axes, (LOSS, SCORE), ("Training loss", "Score")):
        for (color, style), group in alike.items():
            curves = [dict(zip(*row.measured.curve(metric))) for row in group]
            for curve in curves if len(curves) > 1 else []:
                ax.plot(*_points(curve), color=color, ls=style, lw=0.8, alpha=0.4)
            steps = set.intersection(*map(set, curves))
            mean = {step: statistics.fmean(c[step] for c in curves) for step in steps}
            marker = "o" if metric == SCORE else ""
            ax.plot(*_points(mean), color=color, ls=style, lw=2, marker=marker, ms=4)
        ax.set(title=title, xlabel="Step")
        _tidy(ax)
    looks.put_beside(figure)
    return figure


def draw_score(rows: Sequence[Row], field: str) -> Any:
    """Draws the best score of each run against a field.

    Points are runs, hollow ones those that are not finished. Lines are means over the
    finished ones that look the same; there is none against the seed.

    Args:
      rows: runs that have a score.
      field: that is swept.
    """
    runs = [row.run for row in rows]
    looks = choose_looks(runs, field)
    places = _places(runs, field)
    figure, ax = matplotlib.pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    alike: dict[Any, dict[float, list[float]]] = {}
    for row in rows:
        color, style = looks.of(row.run)
        place, score = places[spell(row.run.value(field))], row.measured.best
        is_finished = row.status.state == FINISHED
        if is_finished:
            found = alike.setdefault((color, style), {})
            found.setdefault(place, []).append(score)
        fill = color if is_finished else "white"
        ax.plot(place, score, "o", color=color, mfc=fill, ms=6, alpha=0.8)
    for (color, style), found in alike.items() if field != SEED else ():
        mean = {place: statistics.fmean(scores) for place, scores in found.items()}
        ax.plot(*_points(mean), color=color, ls=style, lw=1.8, zorder=1)
    best = max(rows, key=lambda row: row.measured.best)
    x, y = places[spell(best.run.value(field))], best.measured.best
    ax.plot(x, y, "o", ms=13, mfc="none", mec=HIGHLIGHT, mew=1.6)
    ax.annotate(
        f"best: {y:.4g}",
        (x, y),
        (0, 11),
        textcoords="offset points",
        ha="center",
        color=HIGHLIGHT,
    )
    ax.margins(x=0.15, y=0.15)
    ax.set(title=f"Best score against {short(field)}", xlabel=field, ylabel="Score")
    _set_places(ax, places, runs, field)
    _tidy(ax)
    looks.put_beside(figure)
    return figure


def save(rows: Sequence[Row], folder: pathlib.Path) -> dict[str, str]:
    """Draws all pictures into a folder; returns {title: file}."""
    matplotlib.use("Agg")
    figures = {}
    if any(row.measured.rows for row in rows):
        figures["Curves of all runs"] = "curves.png", draw_curves(rows)
    scored = [row for row in rows if not math.isnan(row.measured.best)]
    for field in swept_fields(row.run for row in scored):
        if len({spell(row.run.value(field)) for row in scored}) > 1:
            title = f"Best score against {field}"
            figures[title] = f"score_{field}.png", draw_score(scored, field)
    for file, figure in figures.values():
        figure.savefig(folder / file, dpi=150, bbox_inches="tight", facecolor="white")
        matplotlib.pyplot.close(figure)
    return {title: file for title, (file, _) in figures.items()}


def short(field: str) -> str:
    """Returns a field's name for people."""
    return field.rpartition(".")[2].replace("_", " ")


def _text(run: Run, fields: Sequence[str]) -> str:
    return ", ".join(spell(run.value(field)) for field in fields)


def _texts(runs: Sequence[Run], fields: Sequence[str]) -> list[str]:
    """Their values as texts, each once, in the order of the values."""
    found = {_text(run, fields): [_rank(run.value(f)) for f in fields] for run in runs}
    return sorted(found, key=lambda text: found[text])


def _rank(value: Any) -> tuple[float, str]:
    return (value, "") if _is_number(value) else (math.inf, spell(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _colors(count: int) -> list[Any]:
    """Dark to light, so that the order of values can be seen."""
    if count == 1:
        return [BLUE]
    return [
        matplotlib.colors.to_hex(matplotlib.colormaps["viridis"](0.9 * i / (count - 1)))
        for i in range(count)
    ]


def _places(runs: Sequence[Run], field: str) -> dict[str, float]:
    """Returns {value as text: place}: numbers where they are, others in order."""
    values = {spell(run.value(field)): run.value(field) for run in runs}
    if all(map(_is_number, values.values())):
        return values
    return {text: place for place, text in enumerate(_texts(runs, [field]))}


def _set_places(
    ax: Any, places: dict[str, float], runs: Sequence[Run], field: str
) -> None:
    """Labels the axis at the values themselves; logarithmic where they span much."""
    low, high = min(places.values()), max(places.values())
    is_number = all(_is_number(run.value(field)) for run in runs)
    if is_number and low > 0 and high / low >= LOG_RATIO:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    if len(places) <= 10:
        ax.set_xticks(list(places.values()), list(places))


def _points(curve: Mapping[float, float]) -> tuple[list[float], list[float]]:
    """Returns {x: y} as two lists, in the order of x."""
    xs = sorted(curve)
    return xs, [curve[x] for x in xs]


def _handle(label: str, **look: Any) -> Any:
    return matplotlib.lines.Line2D([], [], label=label, lw=2, **look)


def _tidy(ax: Any) -> None:
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
