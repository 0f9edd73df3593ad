"""The report of an autoencoder of clips: curves, clips to see and hear, attention."""

import functools
import pathlib
from collections.abc import Mapping
from fractions import Fraction

import jax
import numpy as np
from PIL import Image

from experiments import build, drawing, restore
from experiments.reporting import Curve, Report, Section, curves_section
from experiments.video_autoencoding import attention, pictures
from experiments.video_autoencoding.model import LABEL
from perceiver_jax.data.video import files
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Batch, Evaluation
from perceiver_jax.model import inspection

CURVES = (
    ("PSNR of video (dB)", "video_psnr", 1),
    ("PSNR of sound (dB)", "audio_psnr", 1),
    ("Label right (%)", "label_top1", 100),
)
CURVES_CAPTION = (
    "Training numbers are means since the last one, of the pixels and samples that "
    "were drawn, with labels hidden in some; the others are of all of every held-out "
    "clip, with labels hidden."
)
CLIPS_CAPTION = "Each clip, and below it what was decoded of its latents."
ATTENTION_CAPTION = (
    "The first clip, and where latents look that look at few places: brighter is more."
)


def make_report(restored: restore.Restored, folder: pathlib.Path) -> Report:
    """Writes pictures and videos into the folder."""
    task, forward = restored.make_task()
    names = ["train", *task.evaluations]
    curves = [
        Curve(title, {name: f"{name}/{key}" for name in names}, scale)
        for title, key, scale in CURVES
    ]
    sections = curves_section(restored.workdir, folder, curves, CURVES_CAPTION)
    found = evaluation.Evaluator(task, forward, restored.parallel)(restored.variables)
    apply = jax.jit(functools.partial(forward.apply, is_training=False))
    batch = first_clips(task.evaluations["test"])
    outputs, _ = apply(*restored.whole_variables, None, batch)
    show = pictures.make_show(restored.config, task.identity.class_names[LABEL])
    sections += [
        clips_section(show, jax.device_get(outputs), batch, folder),
        attention_section(restored, batch, folder),
    ]
    return Report(found.metrics, sections, task.protocol)


def first_clips(test: Evaluation) -> dict[str, np.ndarray]:
    """Returns a batch of the first clips that could be read."""
    batch = next(iter(test.batches()))
    rows = np.flatnonzero(batch["mask"])[: pictures.MAX_CLIPS]
    return {name: x[rows] for name, x in batch.items()}


def clips_section(
    show: pictures.Show,
    outputs: Mapping[str, np.ndarray],
    batch: Batch,
    folder: pathlib.Path,
) -> Section:
    """Writes clips beside each other as a picture, and each as a video with sound."""
    clips = show.clips(outputs, batch)
    Image.fromarray(pictures.draw(clips, show.sample_rate)).save(folder / "clips.png")
    frame_rate = Fraction(show.sample_rate * len(clips[0].video), len(clips[0].audio))
    links = []
    for number, clip in enumerate(clips):
        name = f"{number // 2}_{'decoded' if number % 2 else 'clip'}.mp4"
        files.write(folder / name, clip.video, frame_rate, clip.audio, show.sample_rate)
        links.append(f"[{clip.title}]({name})")
    body = f"![Clips](clips.png)\n\nWith sound: {'; '.join(links)}."
    return Section("Clips", CLIPS_CAPTION, body)


def attention_section(
    restored: restore.Restored, batch: Batch, folder: pathlib.Path
) -> Section:
    """Draws where latents look in the first clip."""
    config = attention.looked_at(restored.config)
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    look = jax.jit(functools.partial(inspection.attention_maps, forward))
    first = attention.without_outputs({name: x[:1] for name, x in batch.items()})
    found = jax.device_get(look(*restored.whole_variables, first))
    maps = attention.by_modality(config, found)
    figure = attention.draw(batch["video"][0], batch["audio"][0], maps)
    drawing.save(figure, folder / "attention.png")
    return Section.of_picture("Attention", "attention.png", ATTENTION_CAPTION)
