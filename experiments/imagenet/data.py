"""The images that a config's `data` describes.

example -> {"images": [H, W, 3], "labels": [classes]}
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import config_dict

from perceiver_jax import extras
from perceiver_jax.data import loader, sources, tfds
from perceiver_jax.data.image import augmentation, decoding, folders, transforms
from perceiver_jax.engine import sharding

sklearn = extras.Library("sklearn", "datasets", "model_selection", extra="digits")


class Splits(NamedTuple):
    """What to train on, what to evaluate on, and the name of every class, if any."""

    train: sources.Source
    test: sources.Source
    class_names: Sequence[str]


def load_splits(data: config_dict.ConfigDict) -> Splits:
    """Opens the data that a config's `data` describes.

    Raises:
      ValueError: another number of classes than the config says.
      FileNotFoundError: it is not there, or not prepared; says how to prepare it.
    """
    splits = SOURCES[data.source](data)
    found = len(splits.class_names)
    if found not in (0, data.num_classes):
        raise ValueError(
            f"data.num_classes={data.num_classes}, but the data has {found} classes: "
            f"use --config.data.num_classes={found}."
        )
    return splits


def _tfds(data):
    train, test = (
        tfds.image_source(data.name, split, data.dir or None)
        for split in (data.train_split, data.eval_split)
    )
    return Splits(train, test, train.class_names)


def _folder(data):
    root = pathlib.Path(data.dir)
    train = folders.FolderSource(root / data.train_split)
    test = folders.FolderSource(root / data.eval_split, train.class_names)
    return Splits(train, test, train.class_names)


def _digits(data):
    """scikit-learn's digits as uint8 images; a fifth, of all classes, held out."""
    del data
    digits = sklearn.datasets.load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    parts = sklearn.model_selection.train_test_split(
        *(pixels, digits.target, np.arange(len(pixels))),
        test_size=0.2,
        random_state=0,
        stratify=digits.target,
    )
    train, test = (
        sources.ArraySource(image=images, label=labels, name=names)
        for images, labels, names in (parts[0::2], parts[1::2])
    )
    return Splits(train, test, [str(name) for name in digits.target_names])


def _synthetic(data):
    """Noise the size of a usual photo, to measure speed without data."""
    rng = np.random.default_rng(0)
    noise = sources.ArraySource(
        image=rng.integers(0, 256, (16, 375, 500, 3), dtype=np.uint8),
        label=rng.integers(0, data.num_classes, 16),
        name=np.arange(16),
    )
    return Splits(noise, noise, ())


SOURCES: dict[str, Callable[[config_dict.ConfigDict], Splits]] = {
    "tfds": _tfds,
    "folder": _folder,
    "digits": _digits,
    "synthetic": _synthetic,
}


def train_loader(
    config: config_dict.ConfigDict, train: sources.Source
) -> loader.TrainLoader:
    """Returns the batches to train on."""
    data = config.data
    return loader.TrainLoader(
        sources.SkipCorrupt(train, decode, data.max_corrupt),
        Augment(
            size=tuple(data.image_size),
            num_classes=data.num_classes,
            crop_area=tuple(data.crop_area),
            flip=data.flip,
            num_layers=data.randaugment_layers,
            magnitude=data.randaugment_magnitude,
        ),
        config.batch_size,
        config.seed,
        finish=Mix(data.mix_alpha) if data.mix_alpha else None,
        num_workers=data.num_workers,
        **sharding.this_process(),
    )


def eval_loader(
    config: config_dict.ConfigDict, test: sources.Source
) -> loader.EvalLoader:
    """Returns the batches to evaluate on."""
    data = config.data
    return loader.EvalLoader(
        test,
        CropForEval(tuple(data.image_size), data.num_classes, data.eval_crop),
        config.eval_batch_size,
        **sharding.this_process(),
    )


def decode(example: Mapping[str, Any]) -> dict[str, Any]:
    """Decodes an example's image; raises sources.CorruptExample naming it."""
    image = decoding.decode(example["image"], str(example["name"]))
    return {**example, "image": image}


@dataclasses.dataclass(frozen=True)
class Augment:
    """Crops, flips and distorts a decoded training example."""

    size: tuple[int, int]
    num_classes: int
    crop_area: tuple[float, float]
    flip: bool
    num_layers: int
    magnitude: float

    def __call__(
        self, example: Mapping[str, Any], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Maps a decoded example to arrays."""
        cropped = transforms.inception_crop(
            example["image"], self.size, rng, self.crop_area
        )
        if self.flip:
            cropped = transforms.flip(cropped, rng)
        cropped = augmentation.rand_augment(
            cropped, rng, self.num_layers, self.magnitude
        )
        return _arrays(cropped, example["label"], self.num_classes)


@dataclasses.dataclass(frozen=True)
class CropForEval:
    """Decodes an example and takes its centre."""

    size: tuple[int, int]
    num_classes: int
    fraction: float

    def __call__(self, example: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Maps an encoded example to arrays; raises sources.CorruptExample."""
        example = decode(example)
        cropped = transforms.center_crop(example["image"], self.size, self.fraction)
        return _arrays(cropped, example["label"], self.num_classes)


def _arrays(cropped, label, num_classes):
    labels = np.zeros(num_classes, np.float32)
    labels[label] = 1.0  # one class, or several
    return {"images": transforms.normalize(cropped), "labels": labels}


@dataclasses.dataclass(frozen=True)
class Mix:
    """MixUp on one half of a batch, CutMix on the other."""

    alpha: float

    def __call__(
        self, batch: dict[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Maps a batch to a mixed one."""
        images, labels = augmentation.mixup_cutmix(
            batch["images"], batch["labels"], rng, self.alpha
        )
        return {**batch, "images": images, "labels": labels}
