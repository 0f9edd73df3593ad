"""The report of the toy: learning curves, and which growers are mistaken."""

import pathlib

import numpy as np

from experiments.reporting import Curve, Report, Section, curves_section
from experiments.restore import Restored
from perceiver_jax.engine.evaluation import Evaluator

CURVES = (Curve("Loss", {"train": "train/loss", "test": "test/loss"}),)


def make_report(restored: Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    found = Evaluator(task, forward, restored.parallel)(restored.variables)
    grower, predicted = (
        found.predictions["test"][name] for name in ("grower", "predicted")
    )
    wrong = int(np.sum(grower != predicted))
    caption = f"{wrong} of {len(grower)} wines are taken for another grower's."
    sections = [
        *curves_section(restored.workdir, folder, CURVES, "Of all held out."),
        Section("Mistakes", caption, ""),
    ]
    return Report(found.metrics, sections, task.protocol)
