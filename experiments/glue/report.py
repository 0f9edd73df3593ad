"""The report of a text classifier: curves, the classes, the surest mistakes."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.glue.data import TextTask, load_tasks
from experiments.reporting import Curve, Report, Section, curves_section, table
from experiments.restore import Restored
from perceiver_jax.data.sources import Source
from perceiver_jax.engine.evaluation import Evaluator

NUM_MISTAKES = 10  # of each set
MAX_CLASSES = 20  # of a set, those with the most mistakes
MAX_SETS = 3  # with a line each in a diagram
MAX_CHARACTERS = 160  # of a text

Found = Mapping[str, np.ndarray]  # the gathered predictions of a set


def make_report(restored: Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    found = Evaluator(task, forward, restored.parallel)(restored.variables)
    curves = make_curves(list(task.evaluations))
    sections = curves_section(restored.workdir, folder, curves, CURVES_CAPTION)
    for text_task in load_tasks(restored.config.data):
        for name in text_task.held_out:
            sections += set_sections(text_task, name, found.predictions[name])
    return Report(found.metrics, sections, task.protocol)


def make_curves(sets: Sequence[str]) -> list[Curve]:
    """Returns diagrams of the loss, of sets too where they are few, and the score."""
    shown = ("train", *sets) if len(sets) <= MAX_SETS else ("train",)
    return [
        Curve("Loss", {name: f"{name}/loss" for name in shown}),
        Curve("Score (average over tasks)", {"score": "score"}),
    ]


CURVES_CAPTION = (
    "Training numbers are means since the last one, other numbers are of whole "
    "evaluation sets. The score is the average over tasks of their first metric, 0 to "
    "100."
)


def set_sections(task: TextTask, name: str, found: Found) -> list[Section]:
    """Returns what is shown of one evaluation set."""
    examples = task.held_out[name]
    if not task.class_names:
        return [furthest_scores(name, examples, found)]
    return [
        confused_classes(name, task.class_names, found),
        surest_mistakes(name, task.class_names, examples, found),
    ]


def confused_classes(name: str, class_names: Sequence[str], found: Found) -> Section:
    """Returns a row for each class: how often it is found, and taken for what."""
    label, predicted = found["label"].astype(int), found["predicted"].astype(int)
    counts = np.zeros((len(class_names),) * 2, int)  # [true, predicted]
    np.add.at(counts, (label, predicted), 1)
    right, total = counts.diagonal(), counts.sum(1)
    wrong = counts - np.diag(right)
    order = np.argsort(-wrong.sum(1), kind="stable")[:MAX_CLASSES]
    rows = []
    for true in order:
        other = wrong[true].argmax()
        taken = f"{class_names[other]} ({wrong[true, other]})"
        rows.append(
            (
                class_names[true],
                total[true],
                f"{right[true] / max(total[true], 1):.1%}",
                taken if wrong[true].any() else "",
            )
        )
    caption = f"Of {len(class_names)} classes those with the most mistakes come first."
    header = ("class", "examples", "right", "most often taken for")
    return Section(f"{name}: classes", caption, table(header, rows))


def surest_mistakes(
    name: str, class_names: Sequence[str], examples: Source, found: Found
) -> Section:
    """Returns the wrong answers of largest probability, with their texts."""
    label, predicted = found["label"].astype(int), found["predicted"].astype(int)
    sure = found["confidence"]
    wrong = np.flatnonzero(label != predicted)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:NUM_MISTAKES]
    rows = [
        (
            joined(examples[int(i)]["texts"]),
            *(class_names[label[i]], class_names[predicted[i]], f"{sure[i]:.1%}"),
        )
        for i in order
    ]
    caption = f"{len(wrong)} of {len(label)} are wrong. The surest ones:"
    header = ("text", "true", "predicted", "probability")
    return Section(f"{name}: mistakes", caption, table(header, rows))


def furthest_scores(name: str, examples: Source, found: Found) -> Section:
    """Returns the scores that are furthest off, with their texts."""
    label, predicted = found["label"], found["predicted"]
    order = np.argsort(-np.abs(predicted - label), kind="stable")[:NUM_MISTAKES]
    rows = [
        (joined(examples[int(i)]["texts"]), f"{label[i]:.2f}", f"{predicted[i]:.2f}")
        for i in order
    ]
    caption = f"The scores of {len(label)} that are furthest off."
    header = ("text", "true", "predicted")
    return Section(f"{name}: mistakes", caption, table(header, rows))


def joined(texts: Sequence[bytes]) -> str:
    """Returns an example's texts on one line, their end cut off where it is long."""
    text = " [SEP] ".join(" ".join(t.decode(errors="replace").split()) for t in texts)
    is_long = len(text) > MAX_CHARACTERS
    return f"{text[: MAX_CHARACTERS - 1]}…" if is_long else text
