"""The report of an autoencoder: curves, crops, other codes, coarse to fine, finer."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import haiku as hk
import jax
import numpy as np
import scipy.ndimage
from ml_collections import config_dict
from PIL import Image

from experiments import restore
from experiments.image_autoencoding import baselines, data
from experiments.image_autoencoding.model import coded_values, place_features
from experiments.image_autoencoding.outputs import psnr
from experiments.image_autoencoding.predict import coarse
from experiments.reporting import Curve, Report, Section, curves_section, table
from perceiver_jax.data.flow import pictures
from perceiver_jax.data.flow.pairs import denormalize
from perceiver_jax.data.sources import CorruptExample
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.task import Task

CURVES = (
    Curve("PSNR (dB)", {name: f"{name}/psnr" for name in ("train", "test")}),
    Curve("Loss", {name: f"{name}/loss" for name in ("train", "test")}),
)
FITTED = 1024  # crops to train on that PCA is fitted to
SHOWN = 3  # crops in a picture
FINER = 48  # crops at most that are decoded at twice the resolution
STEPS = (16, 8, 4, 2)  # of what is shown coarse to fine

Codec = Callable[[np.ndarray], np.ndarray]  # crops [B, H, W, 3] to what is decoded


def make_report(restored: restore.Restored, folder: pathlib.Path) -> Report:
    """Writes the pictures into the folder."""
    task, forward = restored.make_task()
    caption = (
        "In training, of the pixels that a step decodes; else of whole held-out crops."
    )
    sections = curves_section(restored.workdir, folder, CURVES, caption)
    evaluator = evaluation.Evaluator(task, forward, restored.parallel)
    found = evaluator(restored.variables).metrics
    shown = evaluator.samples(restored.variables).pictures
    if "test/reconstruction" in shown:
        picture = shown["test/reconstruction"]
        Image.fromarray(picture).save(folder / "crops.png")
        told = "Held-out crops, what was decoded of their codes, and the difference."
        sections.append(Section.of_picture("Crops", "crops.png", told))
    values = coded_values(restored.config.model)
    rows = compare(task, values) | {"this model": (values, found["test/psnr"])}
    cells = [
        [name, f"{count:,}", f"{ratio:.2f}"] for name, (count, ratio) in rows.items()
    ]
    sections.append(
        Section(
            "Other codes of as many values",
            f"PCA is of patches, fitted to {FITTED:,} crops that were trained on.",
            table(("code", "values of a crop", "PSNR (dB)"), cells),
        )
    )
    return Report(found, [*sections, *_finer(restored, forward, folder)], task.protocol)


def compare(task: Task, values: int) -> dict[str, tuple[int, float]]:
    """Returns baselines by name: the values of their codes, and their mean PSNR."""
    crops: list[np.ndarray] = []
    for batch in task.train.batches(0, 1):
        crops.extend(batch["image"])
        if len(crops) >= FITTED:
            break
    pca = baselines.PatchPca(np.stack(crops[:FITTED]), values)
    rows: Mapping[str, tuple[int, Codec]] = {
        "mean colour": (3, baselines.mean_color),
        "shrunk, bicubic": (values, lambda images: baselines.shrink(images, values)),
        "PCA": (values, pca),
    }
    found = {}
    for name, (count, codec) in rows.items():
        ratios: list[float] = []
        for batch in task.evaluations["test"].batches():
            images = batch["image"][batch["mask"] > 0]
            if len(images):
                ratios.extend(np.asarray(psnr(codec(images), images)))
        found[name] = (count, float(np.mean(ratios)))
    return found


def _finer(
    restored: restore.Restored, forward: hk.TransformedWithState, folder: pathlib.Path
) -> list[Section]:
    """Shows crops at twice the resolution that is trained on, and coarse to fine.

    Every second pixel of a larger crop is read, and all of them are decoded. Nothing
    where no photo has so large a crop.
    """
    crops = large_crops(restored.config)
    if not len(crops):
        return []
    model = restored.config.model
    grid = {
        name: place_features(model, axis, np.linspace(-1, 1, length))
        for axis, (name, length) in enumerate(zip(("rows", "columns"), crops.shape[1:]))
    }

    @jax.jit
    def decode(image):
        batch = {"image": image[None], **grid}
        return forward.apply(*restored.whole_variables, None, batch, False)[0]

    read = crops[:, ::2, ::2]
    decoded = np.stack([decode(x) for x in read]).reshape(crops.shape)
    between = np.stack([interpolate(x, crops.shape[1:]) for x in read])
    ratios = {
        "cubic interpolation": float(np.mean(psnr(between, crops))),
        "decoded": float(np.mean(psnr(decoded, crops))),
    }
    rows = [_row_of_twice(*row) for row in zip(read, between, decoded, crops)]
    Image.fromarray(np.concatenate(rows[::-1][:SHOWN])).save(folder / "twice.png")
    rows = [_row_of_steps(denormalize(x)) for x in decoded[::-1][:SHOWN]]
    Image.fromarray(np.concatenate(rows)).save(folder / "coarse_to_fine.png")
    height, width = crops.shape[1:3]
    told = ", ".join(f"{name} {ratio:.2f} dB" for name, ratio in ratios.items())
    return [
        Section.of_picture(
            "Twice the resolution",
            "twice.png",
            f"Every second pixel of {len(crops)} crops of {height}x{width} is read and "
            f"all are decoded. Against the photo: {told}.",
        ),
        Section.of_picture(
            "Coarse to fine",
            "coarse_to_fine.png",
            "The same crops from few of their queries, then from all.",
        ),
    ]


def large_crops(config: config_dict.ConfigDict) -> np.ndarray:
    """Returns held-out crops [B, 2 h - 1, 2 w - 1, 3] of photos large enough for them.

    Every second pixel of one is a crop as the model reads them. There may be none.
    """
    height, width = (2 * length - 1 for length in config.model.image_size)
    larger = config.copy_and_resolve_references()
    larger.model.image_size = (height, width)
    loader = data.test_loader(larger)
    crops = []
    for index in np.linspace(0, len(loader.source) - 1, FINER).astype(int):
        try:
            crops.append(loader.preprocess(loader.source[index])["image"])
        except CorruptExample:
            continue
    return np.reshape(crops, (len(crops), height, width, 3))


def interpolate(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns an image [h, w, 3] at another size, corners on corners, by splines."""
    factors = [large / small for large, small in zip(shape, image.shape)]
    return scipy.ndimage.zoom(image, factors, order=3, mode="nearest")


def _row_of_twice(
    read: np.ndarray, between: np.ndarray, decoded: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    shown = {
        "read": np.kron(read, np.ones((2, 2, 1)))[:-1, :-1],
        "cubic interpolation": between,
        "decoded": decoded,
        "photo": truth,
    }
    return pictures.side_by_side({k: denormalize(v) for k, v in shown.items()}, {})


def _row_of_steps(picture: np.ndarray) -> np.ndarray:
    shown = {f"every {step} pixels": coarse(picture, step) for step in STEPS}
    return pictures.side_by_side({**shown, "all pixels": picture}, {})
