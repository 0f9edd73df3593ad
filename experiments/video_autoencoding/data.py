"""The clips that a config's `data` describes.

clip -> {"video" [T, H, W, 3] uint8, "audio" [S, 1], "label" [classes],
"video_known", "audio_known": how many frames and samples there are, "label_hidden"},
and to train on "video_points", "audio_points": which pixels and patches to decode
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.video_autoencoding import model as autoencoder
from experiments.video_autoencoding.outputs import points_name
from perceiver_jax.data import loader
from perceiver_jax.data.sources import Example, ReplaceCorrupt, Source
from perceiver_jax.data.video import lists
from perceiver_jax.data.video.rendered import RenderedClips
from perceiver_jax.data.video.sampling import ClipFiles, ClipReader
from perceiver_jax.engine import sharding

RENDERED_TEST = 288  # clips, 32 of each class


class Splits(NamedTuple):
    """What to train on, what to evaluate on, and the name of every class."""

    train: Source
    test: Source
    class_names: Sequence[str]


def load_splits(config: config_dict.ConfigDict) -> Splits:
    """Opens the data that a config describes.

    Raises:
      FileNotFoundError: a list is not there, or none of its files.
      ValueError: a list is damaged, a file has several labels, or there is another
        number of classes than the config says.
    """
    data = config.data
    splits = _rendered(config) if data.source == "rendered" else _listed(data)
    found = len(splits.class_names)
    if found != data.num_classes:
        raise ValueError(
            f"data.num_classes={data.num_classes}, but the data has {found} classes: "
            f"use --config.data.num_classes={found}."
        )
    return splits


def _rendered(config: config_dict.ConfigDict) -> Splits:
    train, test = (
        RenderedClips(
            count,
            size=tuple(config.model.image_size),
            frames=config.model.num_frames,
            samples_per_frame=config.model.samples_per_frame,
            frames_per_second=config.data.frames_per_second,
            first=first,
        )
        for count, first in (
            (config.data.rendered_clips, RENDERED_TEST),
            (RENDERED_TEST, 0),
        )
    )
    return Splits(train, test, train.class_names)


def _listed(data: config_dict.ConfigDict) -> Splits:
    """Files below data.dir, as the lists data.train and data.held_out there say."""
    folder = pathlib.Path(data.dir).expanduser()
    read = {"kinetics": lists.read_kinetics, "folder": lists.read_csv}[data.source]
    train = read(folder / f"{data.train}.csv", folder)
    names = train.class_names
    test = read(folder / f"{data.held_out}.csv", folder, names)
    for segment in (*train.segments, *test.segments):
        if len(segment.label) != 1:
            several = ", ".join(names[label] for label in segment.label)
            raise ValueError(
                f"{segment.path} has the labels {several}: give each file one, as the "
                "model has one label for a clip."
            )
    return Splits(ClipFiles(train), ClipFiles(test), names)


def train_loader(config: config_dict.ConfigDict, train: Source) -> loader.TrainLoader:
    """Returns the batches to train on.

    Raises:
      ValueError: more elements are to be decoded than a clip has.
    """
    data = config.data
    shapes = {
        m.name: m.num_elements
        for m in autoencoder.output_modalities(
            autoencoder.input_modalities(config.model, data.num_classes)
        )
    }
    for name, count in data.points.items():
        if count > shapes[name]:
            raise ValueError(
                f"data.points.{name}={count} are more than the {shapes[name]} elements "
                "of a clip; 0 decodes all."
            )
    asked = {name: (n, shapes[name]) for name, n in data.points.items() if n}
    draw = Draw(make_to_arrays(config), data.label_hidden, asked)
    preprocess: Callable[[Example, np.random.Generator], Example] = draw
    if isinstance(train, ClipFiles):
        read = ReadRandom(clip_reader(config), draw)
        preprocess = ReplaceCorrupt(train, read, data.max_corrupt)
    return loader.TrainLoader(
        train,
        preprocess,
        config.batch_size,
        config.seed,
        num_workers=data.num_workers,
        **sharding.this_process(),
    )


def eval_loader(config: config_dict.ConfigDict, test: Source) -> loader.EvalLoader:
    """Returns the batches to evaluate on: of each file the clip in its middle."""
    reader = clip_reader(config) if isinstance(test, ClipFiles) else None
    return loader.EvalLoader(
        test,
        Whole(make_to_arrays(config), reader),
        config.eval_batch_size,
        **sharding.this_process(),
    )


def clip_reader(config: config_dict.ConfigDict) -> ClipReader:
    """Returns what reads clips of the model's size out of files."""
    model, rate = config.model, config.data.frames_per_second
    return ClipReader(
        model.num_frames,
        tuple(model.image_size),
        rate,
        rate * model.samples_per_frame,
        config.data.pad,
    )


def make_to_arrays(config: config_dict.ConfigDict) -> "ToArrays":
    """Returns what makes arrays of clips."""
    model = config.model
    return ToArrays(
        (model.num_frames, *model.image_size, 3),
        (model.num_frames * model.samples_per_frame, 1),
        config.data.num_classes,
    )


@dataclasses.dataclass(frozen=True)
class ToArrays:
    """Makes what a batch holds of a clip; zeros where it has no video or no sound.

    Attributes:
      video: the shape of a clip's video.
      audio: and of its sound.
      num_classes: of labels.
    """

    video: tuple[int, ...]
    audio: tuple[int, ...]
    num_classes: int

    def __call__(self, clip: Example) -> Example:
        """Maps a clip to arrays; its label is hidden."""
        label = np.zeros(self.num_classes, np.float32)
        label[list(clip["label"])] = 1
        arrays = {"label": label, "label_hidden": np.True_}
        for name, shape, dtype in (
            ("video", self.video, np.uint8),
            ("audio", self.audio, np.float32),
        ):
            array = clip[name]
            known = clip.get(_COUNTS[name], shape[0]) if array is not None else 0
            arrays[name] = np.zeros(shape, dtype) if array is None else array
            arrays[f"{name}_known"] = np.int32(known)
        return arrays


_COUNTS = {"video": "num_frames", "audio": "num_samples"}  # of clips.read_clip


@dataclasses.dataclass(frozen=True)
class Draw:
    """Makes arrays of a clip, and draws what is hidden of it and what is decoded.

    Attributes:
      to_arrays: makes the arrays.
      label_hidden: how often the label is hidden.
      points: modality -> how many elements are drawn, and of how many.
    """

    to_arrays: ToArrays
    label_hidden: float
    points: Mapping[str, tuple[int, int]]

    def __call__(self, clip: Example, rng: np.random.Generator) -> Example:
        """Maps a clip to arrays."""
        arrays = self.to_arrays(clip)
        arrays["label_hidden"] = np.bool_(rng.random() < self.label_hidden)
        for name, (count, total) in self.points.items():
            # Of those that are there: what is filled up has nothing to learn from.
            shape = arrays[name].shape
            there = math.ceil(total * arrays[f"{name}_known"] / shape[0])
            drawn = rng.choice(there or total, count, replace=there < count)
            arrays[points_name(name)] = drawn.astype(np.int32)
        return arrays


@dataclasses.dataclass(frozen=True)
class ReadRandom:
    """Reads a random clip of a file, and draws from it."""

    reader: ClipReader
    draw: Draw

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Maps an example of ClipFiles to arrays; raises sources.CorruptExample."""
        return self.draw(self.reader.random(example, rng), rng)


@dataclasses.dataclass(frozen=True)
class Whole:
    """Makes arrays of a clip, or of the one in the middle of a file."""

    to_arrays: ToArrays
    reader: ClipReader | None

    def __call__(self, example: Example) -> Example:
        """Maps an example to arrays; raises sources.CorruptExample."""
        if self.reader is not None:
            example = self.reader.spaced(example)
        return self.to_arrays(example)
