"""Rendered clips as files in true formats, with lists of them."""

import csv
import pathlib
from fractions import Fraction

import numpy as np

from perceiver_jax.data.video import files
from perceiver_jax.data.video.rendered import RenderedClips

RATE = 8_000
FRAMES = 10  # of a file, 25 a second
SIZE = (32, 40)

# Autoencoding of such clips at a size that compiles in seconds.
RUN = (
    "--config=configs/video_autoencoding.py",
    "--config.batch_size=4",
    "--config.eval_batch_size=2",
    "--config.steps=4",
    "--config.log_every=2",
    "--config.data.source=folder",
    "--config.data.num_classes=2",
    "--config.data.points.audio=8",
    "--config.data.points.video=16",
    "--config.model.num_frames=4",
    "--config.model.image_size=(16,16)",
    "--config.model.samples_per_frame=320",
    "--config.model.video_patch=(1,4,4)",
    "--config.model.video_max_resolution=(16,16)",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.layers_per_block=1",
)


def write(folder: pathlib.Path, count: int = 6, first: int = 0) -> list[pathlib.Path]:
    """Writes clips of the first two classes, mono, as 0.mp4, 1.mp4, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    rendered = RenderedClips(10 * count, SIZE, FRAMES, RATE // 25)
    paths = []
    for number in range(count):
        clip = rendered[9 * (number // 2) + number % 2]
        paths.append(folder / f"{first + number}.mp4")
        files.write(paths[-1], clip["video"], Fraction(25), clip["audio"], RATE)
    return paths


def write_list(path: pathlib.Path, files: list[pathlib.Path]) -> None:
    """Writes a CSV list: the classes are "even" and "odd", by the numbers of names."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label"])
        for found in files:
            label = "odd" if int(found.stem) % 2 else "even"
            rows.writerow([found.relative_to(path.parent), label])


def dataset(folder: pathlib.Path) -> pathlib.Path:
    """Writes clips/*.mp4, train.csv and validate.csv, and returns the folder."""
    paths = write(folder / "clips", 8)
    write_list(folder / "train.csv", paths[:6])
    write_list(folder / "validate.csv", paths[6:])
    return folder


def silent(path: pathlib.Path, frames: int = FRAMES) -> pathlib.Path:
    """Writes a video without sound."""
    clip = RenderedClips(1, SIZE, frames, RATE // 25)[0]
    files.write(path, clip["video"], Fraction(25))
    return path


def tone(seconds: float) -> np.ndarray:
    """A tone of 440 Hz, [samples, 1]."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[:, None]
