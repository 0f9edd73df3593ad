"""The report of an image classifier, of any data and with any stem.

Learning curves, predictions and mistakes, the confusion matrix, and what the encoder's
latents attend to.
"""

import functools
import itertools
import math
import pathlib
from collections.abc import Sequence

import haiku as hk
import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments import drawing, restore
from experiments.drawing import ENCODER, save, show_image
from experiments.imagenet import model as image_model
from experiments.imagenet.task import CLASSES
from experiments.reporting import Curve, Report, Section, curves_section
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.task import Evaluation
from perceiver_jax.model import inspection

NUM_EXAMPLES = 16  # images shown with their predictions, and as many mistakes
NUM_ATTENDED = 4  # images shown with attention maps
NUM_LATENTS = 6
MAX_CLASSES = 20  # in the confusion matrix
RIGHT, WRONG = "#2e7d4f", "#b3402e"  # colours


# What is shown.


def read_images(test: Evaluation, indices: Sequence[int]) -> dict[int, np.ndarray]:
    """Returns the normalized test images at `indices`, reading no further.

    As predictions, images are counted without those that could not be read.
    """
    found: dict[int, np.ndarray] = {}
    start, last = 0, max(indices, default=-1)
    for batch in test.batches():
        if start > last:
            break
        images = batch["images"][batch["mask"] > 0]
        found |= {
            i: images[i - start] for i in indices if start <= i < start + len(images)
        }
        start += len(images)
    return found


def confusion(
    label: np.ndarray, predicted: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts [true, predicted], of all classes or the MAX_CLASSES most confused.

    Returns:
      The counts, and the classes that its rows and columns are.
    """
    wrong = label != predicted
    errors = np.bincount(label[wrong], minlength=num_classes)
    errors += np.bincount(predicted[wrong], minlength=num_classes)
    classes = np.sort(np.argsort(-errors, kind="stable")[:MAX_CLASSES])
    row = np.full(num_classes, -1)
    row[classes] = np.arange(len(classes))
    shown = (row[label] >= 0) & (row[predicted] >= 0)
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (row[label[shown]], row[predicted[shown]]), 1)
    return counts, classes


# How it is drawn.


def shorten(name: str) -> str:
    """Cuts a class name to what fits over a small image."""
    return name if len(name) <= 11 else f"{name[:10]}…"


def draw_examples(
    pixels: Sequence[np.ndarray],
    label: Sequence[str],
    predicted: Sequence[str],
    title: str,
) -> Figure:
    """Images with what they were taken for and what they are."""
    columns = 8
    rows = max(1, math.ceil(len(pixels) / columns))
    height = 0.4 + 1.25 * pixels[0].shape[0] / pixels[0].shape[1]
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(10, 0.3 + height * rows),
        layout="constrained",
        squeeze=False,
    )
    figure.suptitle(title)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, x, true, said in zip(axes.flat, pixels, label, predicted):
        ax.set_axis_on()
        show_image(ax, x)
        colour = RIGHT if true == said else WRONG
        text = f"predicted {shorten(said)}\ntrue {shorten(true)}"
        ax.set_title(text, fontsize=8, color=colour)
        for spine in ax.spines.values():
            spine.set(color=colour, linewidth=2)
    return figure


def draw_confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """A table of counts, coloured by the share of the true class."""
    side = 2 + 0.45 * len(names)
    figure, ax = plt.subplots(figsize=(side, side), layout="constrained")
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in itertools.product(range(len(names)), repeat=2):
        if counts[row, column]:
            colour = "white" if share[row, column] > 0.5 else "black"
            count = counts[row, column]
            ax.text(column, row, count, ha="center", va="center", color=colour)
    ticks = range(len(names))
    turn = 90 if max(map(len, names)) > 2 else 0
    ax.set_xticks(ticks, names, rotation=turn)
    ax.set_yticks(ticks, names)
    ax.set(title="Test images", xlabel="Predicted class", ylabel="True class")
    return figure


# The report.


def encoder_maps(
    restored: restore.Restored,
    forward: hk.TransformedWithState,
    images: np.ndarray,
) -> np.ndarray:
    """Returns where each latent looks: [examples, N, H, W], the mean over heads."""
    see = jax.jit(functools.partial(inspection.attention_maps, forward))
    variables = restored.whole_variables
    # One by one: a map of an ImageNet model has 26 million entries.
    maps = np.concatenate(
        [np.mean(see(*variables, {"images": x[None]})[ENCODER], axis=1) for x in images]
    )
    return image_model.lay_out(restored.config.model, maps, images.shape[1:3])


def make_report(restored: restore.Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    num_classes = restored.config.data.num_classes
    names = task.identity.class_names[CLASSES] or list(map(str, range(num_classes)))
    found = evaluation.Evaluator(task, forward, restored.parallel)(restored.variables)
    label, predicted = (found.predictions["test"][k] for k in ("label", "predicted"))
    first = range(min(NUM_EXAMPLES, len(label)))
    mistakes = np.flatnonzero(label != predicted)
    shown = [*first, *mistakes[mistakes >= len(first)][:NUM_EXAMPLES]]
    # The first of each class, so that the attended images differ.
    attended = sorted(np.unique(label, return_index=True)[1])[:NUM_ATTENDED]
    images = read_images(task.evaluations["test"], [*shown, *attended])
    examples = draw_examples(
        [images[i] for i in shown],
        [names[label[i]] for i in shown],
        [names[predicted[i]] for i in shown],
        f"The first {len(first)} test images, then other mistakes",
    )
    save(examples, folder / "predictions.png")
    counts, classes = confusion(label, predicted, len(names))
    table = draw_confusion(counts, [names[i] for i in classes])
    save(table, folder / "confusion_matrix.png")
    pixels = np.stack([images[i] for i in attended])
    maps = encoder_maps(restored, forward, pixels)
    attention = drawing.draw_attention(
        pixels, maps, drawing.choose_latents(maps, NUM_LATENTS)
    )
    save(attention, folder / "attention.png")
    sections = [
        *curves_section(restored.workdir, folder, CURVES, CURVES_CAPTION),
        Section.of_picture(
            "Predictions",
            "predictions.png",
            f"There are {len(mistakes)} mistakes among {len(label)} test images.",
        ),
        Section.of_picture(
            "Confusion matrix",
            "confusion_matrix.png",
            f"Test images of {len(classes)} of the {len(names)} classes, those with "
            "the most mistakes. Colour is the share of the true class.",
        ),
        Section.of_picture(
            "Attention",
            "attention.png",
            "The encoder's cross-attention: how much of each cell of the "
            f"{maps.shape[2]} x {maps.shape[3]} feature map a latent takes. Every map "
            "has its own scale, and heads are averaged. Shown are latents that look at "
            "few places, each at others.",
        ),
    ]
    return Report(found.metrics, sections, task.protocol)


CURVES = (
    Curve("Loss", {"train": "train/loss", "test": "test/loss"}),
    Curve("Accuracy (top-1, %)", {"train": "train/top1", "test": "test/top1"}, 100),
)
CURVES_CAPTION = (
    "Training numbers are means over the augmented images since the last one; test "
    "numbers are of the whole test set."
)
