"""Image classification: ImageNet, folders of class folders, handwritten digits."""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sklearn.datasets
import sklearn.model_selection
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.imagenet.model import make_forward
from perceiver_jax.data import loader, picture, sources, tfds
from perceiver_jax.data.image import augmentation, decoding, folders, transforms
from perceiver_jax.engine import losses, metrics, sharding
from perceiver_jax.engine.task import Batch, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/imagenet.py or configs/digits.py."""
    data = config.data
    train, test, _ = load_splits(data)
    process = sharding.this_process()
    size, num_classes = tuple(data.image_size), data.num_classes
    train_batches = functools.partial(
        loader.train_batches,
        sources.SkipCorrupt(train, decode, data.max_corrupt),
        functools.partial(
            augment,
            size=size,
            num_classes=num_classes,
            crop_area=tuple(data.crop_area),
            flip=data.flip,
            num_layers=data.randaugment_layers,
            magnitude=data.randaugment_magnitude,
        ),
        config.batch_size,
        seed=config.seed,
        finish=functools.partial(mix, alpha=data.mix_alpha),
        num_workers=data.num_workers,
        **process,
    )
    eval_batches = functools.partial(
        loader.eval_batches,
        test,
        functools.partial(
            crop_for_eval, size=size, num_classes=num_classes, fraction=data.eval_crop
        ),
        config.eval_batch_size,
        **process,
    )
    return Task(
        name="imagenet",
        num_train_examples=lambda: len(train),
        train_data=lambda start_step: train_batches(start_step=start_step),
        eval_data={"test": eval_batches},
        forward=make_forward(
            config.model, num_classes, sharding.update_axis(config.shard_state)
        ),
        metrics=make_metrics(data.loss, data.label_smoothing),
        predictions=predictions,
        pictures=pictures,
        best_metric="test/top1",
    )


# Data: example -> {"images": [H, W, 3], "labels": [classes]}.


class Splits(NamedTuple):
    """What to train on, what to evaluate on, and the name of every class."""

    train: sources.Source
    test: sources.Source
    class_names: Sequence[str]


def load_splits(data: config_dict.ConfigDict) -> Splits:
    """Opens the data that a config's `data` describes.

    Raises:
      ValueError: an unknown source, or another number of classes than the config says.
      FileNotFoundError: it is not there, or not prepared; says how to prepare it.
    """
    check_known("data.source", data.source, SOURCES)
    splits = SOURCES[data.source](data)
    found = len(splits.class_names)
    if found != data.num_classes:
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
    return Splits(noise, noise, [str(label) for label in range(data.num_classes)])


SOURCES: dict[str, Callable[[config_dict.ConfigDict], Splits]] = {
    "tfds": _tfds,
    "folder": _folder,
    "digits": _digits,
    "synthetic": _synthetic,
}


def decode(example: Mapping[str, Any]) -> dict[str, Any]:
    """Decodes an example's image; raises sources.CorruptExample naming it."""
    return {
        "image": decoding.decode(example["image"], str(example["name"])),
        "label": example["label"],
    }


def augment(
    example: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    size: tuple[int, int],
    num_classes: int,
    crop_area: tuple[float, float],
    flip: bool,
    num_layers: int,
    magnitude: float,
) -> dict[str, np.ndarray]:
    """Crops, flips and distorts a decoded training example."""
    cropped = transforms.inception_crop(example["image"], size, rng, crop_area)
    if flip:
        cropped = transforms.flip(cropped, rng)
    cropped = augmentation.rand_augment(cropped, rng, num_layers, magnitude)
    return _arrays(cropped, example["label"], num_classes)


def crop_for_eval(
    example: Mapping[str, Any],
    *,
    size: tuple[int, int],
    num_classes: int,
    fraction: float,
) -> dict[str, np.ndarray]:
    """Decodes an example and takes its centre; a corrupt one is an error here."""
    example = decode(example)
    cropped = transforms.center_crop(example["image"], size, fraction)
    return _arrays(cropped, example["label"], num_classes)


def _arrays(cropped, label, num_classes):
    labels = np.zeros(num_classes, np.float32)
    labels[label] = 1.0  # one class, or several
    return {"images": transforms.normalize(cropped), "labels": labels}


def mix(
    batch: dict[str, np.ndarray], rng: np.random.Generator, *, alpha: float
) -> dict[str, np.ndarray]:
    """MixUp on one half of a batch, CutMix on the other; neither where alpha is 0."""
    if not alpha:
        return batch
    images, labels = augmentation.mixup_cutmix(
        batch["images"], batch["labels"], rng, alpha
    )
    return {**batch, "images": images, "labels": labels}


# Outputs: logits -> numbers and pictures.


def make_metrics(
    loss: str, label_smoothing: float
) -> Callable[[jax.Array, Batch], metrics.Metrics]:
    """Returns (logits, batch) -> loss, top-1 and top-5 of each example."""
    check_known("data.loss", loss, ("softmax", "sigmoid"))

    def loss_of(logits, labels):
        if loss == "sigmoid":
            return losses.sigmoid_cross_entropy(logits, labels)
        return losses.softmax_cross_entropy(logits, labels, label_smoothing)

    def compute(logits: jax.Array, batch: Batch) -> metrics.Metrics:
        labels, mask = batch["labels"], batch["mask"]
        return {
            "loss": (loss_of(logits, labels), mask),
            "top1": (metrics.top_k(logits, labels, 1), mask),
            "top5": (metrics.top_k(logits, labels, 5), mask),
        }

    return compute


def predictions(logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Returns the predicted and the labelled class of each example."""
    return {
        "predicted": jnp.argmax(logits, -1),
        "label": jnp.argmax(batch["labels"], -1),
    }


def pictures(logits: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """Returns the images of a batch side by side; a red frame where top-1 is wrong."""
    images = transforms.denormalize(np.asarray(batch["images"], np.float32))
    wrong = np.argmax(logits, -1) != np.argmax(batch["labels"], -1)
    return {"predictions": picture.contact_sheet(images, wrong)}
