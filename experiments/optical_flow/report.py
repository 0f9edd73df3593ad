"""The report of a model of optical flow: curves, and pairs of every held-out set."""

import pathlib

from PIL import Image

from experiments import restore
from experiments.reporting import Curve, Report, Section, curves_section
from perceiver_jax.engine import evaluation

CURVES = (
    ("End-point error (pixels)", "epe", 1),
    ("Off by more than 1 pixel (%)", "outliers_1px", 100),
)
CURVES_CAPTION = (
    "Training numbers are means over the augmented pairs since the last one; the "
    "others are of whole held-out sets."
)
PAIRS_CAPTION = (
    "Hue is the direction of the flow and saturation its length, at one scale in a "
    "row; arrows go where pixels go. Errors are blue below 3 pixels and red above; "
    "black where the flow is not known."
)


def make_report(restored: restore.Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    names = ["train", *task.evaluations]
    curves = [
        Curve(title, {name: f"{name}/{key}" for name in names}, scale)
        for title, key, scale in CURVES
    ]
    sections = curves_section(restored.workdir, folder, curves, CURVES_CAPTION)
    evaluator = evaluation.Evaluator(task, forward, restored.parallel)
    found = evaluator(restored.variables).metrics
    for name, picture in evaluator.samples(restored.variables).pictures.items():
        held_out = name.partition("/")[0]
        Image.fromarray(picture).save(folder / f"{held_out}.png")
        title = f"First pairs of {held_out}"
        sections.append(Section.of_picture(title, f"{held_out}.png", PAIRS_CAPTION))
    return Report(found, sections, task.protocol)
