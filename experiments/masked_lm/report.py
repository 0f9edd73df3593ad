"""The report of a masked language model: learning curves, and what it fills in."""

import pathlib
from collections.abc import Sequence

from experiments.reporting import Curve, Report, Section, curves_section
from experiments.restore import Restored
from perceiver_jax.engine.evaluation import Evaluator


def make_report(restored: Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    evaluator = Evaluator(task, forward, restored.parallel)
    metrics = evaluator(restored.variables).metrics
    fills = evaluator.samples(restored.variables).texts
    curves = make_curves(list(task.evaluations))
    sections = [
        *curves_section(restored.workdir, folder, curves, CURVES_CAPTION),
        *(
            Section(name.replace("/", ": "), FILLS_CAPTION, table)
            for name, table in fills.items()
        ),
    ]
    return Report(metrics, sections, task.protocol)


def make_curves(sets: Sequence[str]) -> list[Curve]:
    """Returns diagrams of training and of every evaluation set."""
    return [
        Curve(title, {name: f"{name}/{metric}" for name in ("train", *sets)}, scale)
        for title, metric, scale in (
            ("Loss (nats a hidden token)", "loss", 1),
            ("Hidden tokens that are right (%)", "masked_accuracy", 100),
            ("Bits a hidden byte", "bits_per_byte", 1),
        )
    ]


CURVES_CAPTION = (
    "Training numbers are means since the last one, other numbers are of the whole "
    "evaluation set. Bits a byte count no white space, and can be compared between "
    "tokenizers."
)
FILLS_CAPTION = (
    "The first texts, from a little before their first hidden token: with underscores "
    "for what was hidden, as the model fills them in, and as they are."
)
