"""The report of a classifier of clips: curves, clips, classes, attention."""

import functools
import pathlib
from collections.abc import Sequence

import jax
import numpy as np
from PIL import Image

from experiments import clip_attention, clip_pictures, drawing, restore
from experiments.audioset import outputs
from experiments.audioset.model import input_modalities
from experiments.audioset.pictures import MAX_CLIPS, make_show, senses
from experiments.audioset.task import CLASSES
from experiments.reporting import Curve, Report, Section, curves_section, table
from perceiver_jax.engine import evaluation, scores
from perceiver_jax.engine.task import Batch, Evaluation
from perceiver_jax.model import inspection

MAX_CLASSES = 20  # the worst ones

CURVES = (
    Curve("Loss", {"train": "train/loss", "test": "test/loss"}),
    Curve("mAP", {"test": "test/mAP"}),
)
CURVES_CAPTION = (
    "Training numbers are means since the last one, of clips that were changed at "
    "random; the others are of all held-out clips."
)
CLIPS_CAPTION = (
    "Held-out clips, titled by what is in them, and the likeliest classes of each by "
    "itself. What the model does not read is left blank."
)
ATTENTION_CAPTION = (
    "A clip, and where latents look that look at few places: brighter is more. Every "
    "latent has its own scale, and heads are averaged."
)


def make_report(restored: restore.Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    sections = curves_section(restored.workdir, folder, CURVES, CURVES_CAPTION)
    found = evaluation.Evaluator(task, forward, restored.parallel)(restored.variables)
    averaged = outputs.average(found.predictions["test"])
    names = task.identity.class_names[CLASSES]
    batch = first_clips(task.evaluations["test"])
    apply = jax.jit(functools.partial(forward.apply, is_training=False))
    logits, _ = apply(*restored.whole_variables, None, batch)
    show = make_show(restored.config, names)
    picture = clip_pictures.draw(show.clips(logits, batch), show.sample_rate)
    Image.fromarray(picture).save(folder / "clips.png")
    sections += [
        Section.of_picture("Clips", "clips.png", CLIPS_CAPTION),
        classes_section(names, averaged),
    ]
    see = jax.jit(functools.partial(inspection.attention_maps, forward))
    one = {name: x[:1] for name, x in batch.items()}
    encoder = np.asarray(see(*restored.whole_variables, one)[drawing.ENCODER])[0]
    model = restored.config.model
    maps = clip_attention.by_modality(input_modalities(model), encoder)
    row = {name: x[0] for name, x in one.items()}
    figure = clip_attention.draw(senses(row, model.inputs, model.mel_bins), maps)
    drawing.save(figure, folder / "attention.png")
    sections.append(Section.of_picture("Attention", "attention.png", ATTENTION_CAPTION))
    return Report(found.metrics, sections, task.protocol)


def first_clips(test: Evaluation) -> Batch:
    """Returns a batch of the first clip of each of some files that could be read."""
    rows: dict[int, dict[str, np.ndarray]] = {}
    for batch in test.batches():
        for row in np.flatnonzero(batch["mask"]):
            one = {name: x[row] for name, x in batch.items()}
            rows.setdefault(int(batch["file"][row]), one)
        if len(rows) >= MAX_CLIPS:
            break
    shown = list(rows.values())[:MAX_CLIPS]
    return {name: np.stack([row[name] for row in shown]) for name in shown[0]}


def classes_section(names: Sequence[str], averaged: outputs.Averaged) -> Section:
    """Returns a row for each class, the worst first."""
    precisions = scores.average_precisions(averaged.labels, averaged.probabilities)
    known = np.flatnonzero(~np.isnan(precisions))
    order = known[np.argsort(precisions[known], kind="stable")][:MAX_CLASSES]
    count = averaged.labels.sum(0)
    rows = [
        (
            names[i],
            count[i],
            f"{precisions[i]:.1%}",
            f"{count[i] / len(averaged.labels):.1%}",
        )
        for i in order
    ]
    caption = (
        f"Of {len(known)} classes that some of the {len(averaged.labels)} files have, "
        "those of least average precision come first. By chance it is the share of the "
        "files."
    )
    header = ("class", "files", "average precision", "share of files")
    return Section("Classes", caption, table(header, rows))
