"""The report of a model of optical flow: curves, and pairs of every held-out set."""

import pathlib
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from experiments import restore
from experiments.drawing import save
from experiments.reporting import Curve, Report, Section, draw_curves
from perceiver_jax.engine import evaluation, writer


def make_report(
    restored: restore.Restored, workdir: pathlib.Path, folder: pathlib.Path
) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    sections = []
    if (workdir / writer.METRICS).exists():  # converted weights have none
        save(_draw_curves(workdir, list(task.eval_data)), folder / "loss_curve.png")
        sections.append(
            Section(
                "Learning curves",
                "loss_curve.png",
                "Training numbers are means over the augmented pairs since the last "
                "one; the others are of whole held-out sets.",
            )
        )
    evaluate = evaluation.make_evaluate(task, forward, restored.parallel)
    found = evaluate(restored.variables).metrics
    sample = evaluation.make_samples(task, forward, restored.parallel)
    for name, picture in sample(restored.variables).pictures.items():
        held_out = name.partition("/")[0]
        Image.fromarray(picture).save(folder / f"{held_out}.png")
        sections.append(
            Section(
                f"First pairs of {held_out}",
                f"{held_out}.png",
                "Hue is the direction of the flow and saturation its length, at one "
                "scale in a row; arrows go where pixels go. Errors are blue below 3 "
                "pixels and red above; black where the flow is not known.",
            )
        )
    return Report(found, sections, task.protocol)


def _draw_curves(workdir: pathlib.Path, sets: Sequence[str]) -> Figure:
    names = ["train", *sets]
    return draw_curves(
        writer.read_metrics(workdir),
        [
            Curve(title, {name: f"{name}/{key}" for name in names}, scale)
            for title, key, scale in (
                ("End-point error (pixels)", "epe", 1),
                ("Off by more than 1 pixel (%)", "outliers_1px", 100),
            )
        ],
    )
