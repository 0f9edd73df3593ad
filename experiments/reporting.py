"""What experiments.report needs of a task, and what the reports of tasks share.

experiments/TASK/report.py has make_report(restored, folder), which writes pictures into
the folder and returns a Report.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments import drawing
from perceiver_jax.engine import writer

COLORS = ("#8fa9bf", "#1f5a8a", "#2e7d4f", "#b3402e")


class Section(NamedTuple):
    """A part of a report: a title, a sentence, and a picture or a table."""

    title: str
    caption: str
    body: str  # Markdown

    @classmethod
    def of_picture(cls, title: str, file: str, caption: str) -> "Section":
        """Shows a picture that lies beside the report."""
        return cls(title, caption, f"![{title}]({file})")


class Report(NamedTuple):
    """A report: the evaluation's metrics, how they were made, then its sections."""

    metrics: Mapping[str, float]
    sections: Sequence[Section]
    protocol: Mapping[str, Any]


class Curve(NamedTuple):
    """A diagram over the steps of training.

    Attributes:
      title: of the diagram.
      lines: the name of a line to the metric of metrics.jsonl that it shows.
      scale: what metrics are multiplied with.
    """

    title: str
    lines: Mapping[str, str]
    scale: float = 1


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def curves_section(
    workdir: pathlib.Path, folder: pathlib.Path, curves: Sequence[Curve], caption: str
) -> list[Section]:
    """Draws the curves of a run; nothing where weights were converted, not trained."""
    if not (workdir / writer.METRICS).exists():
        return []
    figure = draw_curves(writer.read_metrics(workdir), curves)
    drawing.save(figure, folder / "loss_curve.png")
    return [Section.of_picture("Learning curves", "loss_curve.png", caption)]


def draw_curves(rows: Sequence[Mapping[str, float]], curves: Sequence[Curve]) -> Figure:
    """Draws diagrams side by side, of the rows of metrics.jsonl."""
    figure, axes = plt.subplots(
        1,
        len(curves),
        figsize=(5 * len(curves), 3.6),
        layout="constrained",
        squeeze=False,
    )
    for ax, curve in zip(axes.flat, curves):
        for number, (name, key) in enumerate(curve.lines.items()):
            points = [(r["step"], curve.scale * r[key]) for r in rows if key in r]
            if points:
                label = f"{name}, last {points[-1][1]:.3g}"
                style = "o-" if number else "-"
                color = COLORS[number % len(COLORS)]
                ax.plot(*zip(*points), style, color=color, label=label, markersize=4)
        ax.set(title=curve.title, xlabel="Step")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    return figure
