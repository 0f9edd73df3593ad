"""The clips that a config's `data` describes.

clip -> {"labels" [classes], and of each of model.inputs "video" [T, H, W, 3] uint8,
"audio" [samples, 1], "mel" [windows * bins, 1], and "NAME_known": how much there is}
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.audioset.fields import STREAMS
from experiments.audioset.model import make_spectrogram
from perceiver_jax.data import loader
from perceiver_jax.data.audio.spectrogram import MelSpectrogram, spec_augment
from perceiver_jax.data.sources import Example, ReplaceCorrupt, Source
from perceiver_jax.data.video import augmentation, lists
from perceiver_jax.data.video.rendered import RenderedClips
from perceiver_jax.data.video.sampling import ClipFiles, ClipReader
from perceiver_jax.engine import sharding

RENDERED_TEST = 288  # clips, 96 of each shape and of each sound


class Splits(NamedTuple):
    """What to train on, what to evaluate on, and the name of every class."""

    train: Source
    test: Source
    class_names: Sequence[str]


def load_splits(config: config_dict.ConfigDict) -> Splits:
    """Opens the data that a config describes.

    Raises:
      FileNotFoundError: a list is not there, or none of its files.
      ValueError: a list is damaged, or there is another number of classes than the
        config says.
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
        ShapesAndSounds(
            RenderedClips(
                count,
                size=tuple(config.model.image_size),
                frames=config.model.num_frames,
                samples_per_frame=config.model.samples_per_frame,
                frames_per_second=config.data.frames_per_second,
                first=first,
            )
        )
        for count, first in (
            (config.data.rendered_clips, RENDERED_TEST),
            (RENDERED_TEST, 0),
        )
    )
    return Splits(train, test, train.class_names)


@dataclasses.dataclass(frozen=True)
class ShapesAndSounds:
    """Rendered clips with two labels each: the shape's, and the sound's."""

    clips: RenderedClips

    @property
    def class_names(self) -> list[str]:
        """The name of every class id: shapes, then sounds."""
        shapes, sounds = zip(*map(self._split, self.clips.class_names))
        return list(dict.fromkeys([*shapes, *sounds]))

    def __len__(self) -> int:
        """The number of clips."""
        return len(self.clips)

    def __getitem__(self, index: int) -> Example:
        """Renders the clip at `index`."""
        example = self.clips[index]
        (both,) = example["label"]
        names = self._split(self.clips.class_names[both])
        label = tuple(map(self.class_names.index, names))
        return {**example, "label": label, "index": index, "clips": 1}

    def _split(self, name: str) -> list[str]:
        return name.split(", ")


def _listed(data: config_dict.ConfigDict) -> Splits:
    """Files below data.dir, as the lists data.train and data.held_out there say."""
    folder = pathlib.Path(data.dir).expanduser()

    def read(name: str, class_names: Sequence[str] | None = None) -> lists.Listing:
        path = folder / f"{name}.csv"
        if data.source == "folder":
            return lists.read_csv(path, folder, class_names)
        classes = folder / f"{data.classes}.csv"
        return lists.read_audioset(path, classes, folder, data.whole_videos)

    first, *others = data.train
    listing = read(first)
    names = listing.class_names
    segments = [*listing.segments]
    for name in others:
        segments += read(name, names).segments
    test = read(data.held_out, names)
    train = lists.Listing(segments, names)
    return Splits(ClipFiles(train), ClipFiles(test, data.eval_clips), names)


def train_loader(config: config_dict.ConfigDict, train: Source) -> loader.TrainLoader:
    """Returns the batches to train on."""
    data = config.data
    augment = Augment(
        make_to_arrays(config),
        crop_area=tuple(data.crop_area),
        flip=data.flip,
        color=data.color,
        mel_masks=data.mel_masks,
        mel_mask_longest=tuple(data.mel_mask_longest),
        dropout={name: data.dropout[name] for name in config.model.inputs},
    )
    preprocess: Callable[[Example, np.random.Generator], Example] = augment
    if isinstance(train, ClipFiles):
        reader = clip_reader(config, data.read_side)
        read = ReadRandom(reader, augment)
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
    """Returns the batches to evaluate on; of files, data.eval_clips clips of each."""
    is_read = isinstance(test, ClipFiles)
    reader = clip_reader(config, tuple(config.model.image_size)) if is_read else None
    return loader.EvalLoader(
        test,
        Whole(make_to_arrays(config), reader),
        config.eval_batch_size,
        **sharding.this_process(),
    )


def clip_reader(
    config: config_dict.ConfigDict, size: tuple[int, int] | int
) -> ClipReader:
    """Returns what reads of files what the model needs, frames of a size."""
    rate = config.data.frames_per_second
    return ClipReader(
        config.model.num_frames,
        size,
        rate,
        rate * config.model.samples_per_frame,
        config.data.pad,
        tuple(dict.fromkeys(STREAMS[name] for name in config.model.inputs)),
    )


def make_to_arrays(config: config_dict.ConfigDict) -> "ToArrays":
    """Returns what makes arrays of clips."""
    model = config.model
    return ToArrays(
        tuple(model.inputs),
        (model.num_frames, *model.image_size, 3),
        (model.num_frames * model.samples_per_frame, 1),
        config.data.num_classes,
        make_spectrogram(config) if "mel" in model.inputs else None,
    )


@dataclasses.dataclass(frozen=True)
class ToArrays:
    """Makes what a batch holds of a clip; zeros where it has no video or no sound.

    Attributes:
      inputs: of the model.
      video: the shape of a clip's video.
      audio: and of its sound.
      num_classes: of labels.
      spectrogram: makes "mel"; None without it.
    """

    inputs: Sequence[str]
    video: tuple[int, ...]
    audio: tuple[int, ...]
    num_classes: int
    spectrogram: MelSpectrogram | None

    def __call__(self, clip: Example) -> Example:
        """Maps a clip to arrays of all that is read of it."""
        labels = np.zeros(self.num_classes, np.float32)
        labels[list(clip["label"])] = 1
        arrays: Example = {"labels": labels}
        for name, shape, dtype, count in (
            ("video", self.video, np.uint8, "num_frames"),
            ("audio", self.audio, np.float32, "num_samples"),
        ):
            if any(STREAMS[wanted] == name for wanted in self.inputs):
                there = clip[name]
                known = clip.get(count, shape[0]) if there is not None else 0
                arrays[name] = np.zeros(shape, dtype) if there is None else there
                arrays[f"{name}_known"] = np.int32(known)
        if self.spectrogram is not None:
            mel = self.spectrogram
            arrays["mel"] = mel(arrays["audio"]).reshape(-1, 1)
            windows = math.ceil(arrays["audio_known"] / mel.hop)
            arrays["mel_known"] = np.int32(windows * mel.bins)
        return arrays


@dataclasses.dataclass(frozen=True)
class Augment:
    """Makes arrays to train on of a clip, changed at random.

    Attributes:
      to_arrays: makes the arrays.
      crop_area: bounds of the part of the frames that is taken.
      flip: whether frames are mirrored half of the time.
      color: how much colours change at most.
      mel_masks: see spec_augment.
      mel_mask_longest: see spec_augment.
      dropout: how often each input is left out, unless nothing else would be left.
    """

    to_arrays: ToArrays
    crop_area: tuple[float, float]
    flip: bool
    color: float
    mel_masks: int
    mel_mask_longest: tuple[float, float]
    dropout: Mapping[str, float]

    def __call__(self, clip: Example, rng: np.random.Generator) -> Example:
        """Maps a clip to arrays."""
        video = clip.get("video")
        if video is not None and "video" in self.to_arrays.inputs:
            clip = {**clip, "video": self._change(video, rng)}
        arrays = self.to_arrays(clip)
        if self.to_arrays.spectrogram is not None:
            mel = arrays["mel"].reshape(-1, self.to_arrays.spectrogram.bins)
            mel = spec_augment(mel, rng, self.mel_masks, self.mel_mask_longest)
            arrays["mel"] = mel.reshape(-1, 1)
        if "audio" not in self.to_arrays.inputs:  # which a spectrogram was made of
            arrays = {n: x for n, x in arrays.items() if not n.startswith("audio")}
        self._drop(arrays, rng)
        return arrays

    def _change(self, video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = self.to_arrays.video[1:3]
        video = augmentation.inception_crop(video, (height, width), rng, self.crop_area)
        if self.flip:
            video = augmentation.flip(video, rng)
        if self.color:
            video = augmentation.color_jitter(video, rng, self.color, self.color / 4)
        return video

    def _drop(self, arrays: Example, rng: np.random.Generator) -> None:
        """Leaves out some of what there is, as if the file had none of it."""
        dropped = {name for name, share in self.dropout.items() if rng.random() < share}
        there = {name for name in self.dropout if arrays[f"{name}_known"]}
        if there - dropped:
            for name in dropped:
                arrays[f"{name}_known"] = np.int32(0)


@dataclasses.dataclass(frozen=True)
class ReadRandom:
    """Reads a random clip of a file, and makes arrays of it."""

    reader: ClipReader
    augment: Augment

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Maps an example of ClipFiles to arrays; raises sources.CorruptExample."""
        return self.augment(self.reader.random(example, rng), rng)


@dataclasses.dataclass(frozen=True)
class Whole:
    """Makes arrays of a clip, or of one of those of a file."""

    to_arrays: ToArrays
    reader: ClipReader | None

    def __call__(self, example: Example) -> Example:
        """Maps an example to arrays; raises sources.CorruptExample."""
        file = example["index"] // example["clips"]
        if self.reader is not None:
            example = self.reader.spaced(example)
        return {**self.to_arrays(example), "file": np.int32(file)}
