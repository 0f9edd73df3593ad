"""Image classification: ImageNet, folders of class folders, handwritten digits."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sklearn.datasets
import sklearn.model_selection
from ml_collections import config_dict

from perceiver_jax import attention, losses, metrics, perceiver, position, sharding
from perceiver_jax.adapters import image as adapters
from perceiver_jax.data import image, loader, picture, sources
from perceiver_jax.task import Batch, Task

PERMUTATION_SEED = 0  # of the one permutation that all permuted experiments share


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/imagenet.py or configs/digits.py."""
    data = config.data
    train, test = load_splits(
        data.source,
        data.name,
        data.dir,
        data.train_split,
        data.eval_split,
        data.num_classes,
    )
    _check_num_classes(data.num_classes, train)
    process = {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
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
        num_train_examples=len(train),
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


def load_splits(
    source: str,
    name: str,
    directory: str,
    train_split: str,
    eval_split: str,
    num_classes: int,
) -> tuple[sources.Source, sources.Source]:
    """Opens the training and the evaluation set; see `data` in configs/imagenet.py."""
    if source == "tfds":
        where = directory or None
        return (
            sources.tfds_source(name, train_split, where),
            sources.tfds_source(name, eval_split, where),
        )
    if source == "folder":
        root = pathlib.Path(directory)
        train = sources.FolderSource(root / train_split)
        return train, sources.FolderSource(root / eval_split, train.class_names)
    if source == "digits":
        return _digits()
    if source == "synthetic":
        return _synthetic(num_classes), _synthetic(num_classes)
    raise ValueError(
        f"data.source='{source}' is unknown: use 'tfds', 'folder', 'digits' or "
        "'synthetic'."
    )


def _digits() -> tuple[sources.ArraySource, sources.ArraySource]:
    """scikit-learn's digits as uint8 images; a fifth, of all classes, held out."""
    digits = sklearn.datasets.load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    names = np.arange(len(pixels))
    splits = sklearn.model_selection.train_test_split(
        *(pixels, digits.target, names),
        test_size=0.2,
        random_state=0,
        stratify=digits.target,
    )
    train, test = (
        sources.ArraySource(image=images, label=labels, name=names)
        for images, labels, names in (splits[0::2], splits[1::2])
    )
    return train, test


def _synthetic(num_classes: int) -> sources.ArraySource:
    """Noise, to measure speed without data: as large as a usual photo."""
    rng = np.random.default_rng(0)
    return sources.ArraySource(
        image=rng.integers(0, 256, (16, 375, 500, 3), dtype=np.uint8),
        label=rng.integers(0, num_classes, 16),
        name=np.arange(16),
    )


def _check_num_classes(num_classes: int, train: sources.Source) -> None:
    # Arrays in memory bring no class names.
    found = getattr(train, "num_classes", num_classes)
    if found != num_classes:
        raise ValueError(
            f"data.num_classes={num_classes}, but the data has {found} classes: use "
            f"--config.data.num_classes={found}."
        )


def decode(example: Mapping[str, Any]) -> dict[str, Any]:
    """Decodes an example's image; raises sources.CorruptExample naming it."""
    return {
        "image": image.decode(example["image"], str(example["name"])),
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
    cropped = image.inception_crop(example["image"], size, rng, crop_area)
    if flip:
        cropped = image.flip(cropped, rng)
    cropped = image.rand_augment(cropped, rng, num_layers, magnitude)
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
    cropped = image.center_crop(example["image"], size, fraction)
    return _arrays(cropped, example["label"], num_classes)


def _arrays(cropped, label, num_classes):
    labels = np.zeros(num_classes, np.float32)
    labels[label] = 1.0  # one class, or several
    return {"images": image.normalize(cropped), "labels": labels}


def mix(
    batch: dict[str, np.ndarray], rng: np.random.Generator, *, alpha: float
) -> dict[str, np.ndarray]:
    """MixUp on one half of a batch, CutMix on the other; neither where alpha is 0."""
    if not alpha:
        return batch
    images, labels = image.mixup_cutmix(batch["images"], batch["labels"], rng, alpha)
    return {**batch, "images": images, "labels": labels}


# Model: batch -> logits [B, classes].


def make_forward(
    model: config_dict.ConfigDict, num_classes: int, bn_axis: str | None
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> logits [B, classes]."""
    make_inputs = _image_inputs(model, bn_axis)
    cross_attention = functools.partial(
        attention.CrossAttention,
        num_heads=model.num_cross_heads,
        widening_factor=model.cross_widening,
        dropout_rate=model.dropout,
    )
    self_attention = functools.partial(
        attention.SelfAttention,
        num_heads=model.num_self_heads,
        widening_factor=model.self_widening,
        dropout_rate=model.dropout,
    )
    make_head, num_queries = _classifier(model, num_classes)

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        inputs = make_inputs()(batch["images"], is_training)
        network = perceiver.Perceiver(
            perceiver.Encoder(
                model.num_latents,
                model.latent_channels,
                cross_attention,
                model.latent_init_scale,
            ),
            perceiver.Processor(
                model.num_blocks,
                model.layers_per_block,
                self_attention,
                model.share_weights,
                model.num_cross_attends,
                cross_attention,
                model.cross_attends_at_start,
                model.remat,
            ),
            make_head(),
        )
        queries = None
        if num_queries:
            queries = perceiver.LearnedQueries(num_queries, model.latent_channels)()
        return network(inputs, queries, is_training=is_training)[:, 0]

    return forward


def _classifier(
    model: config_dict.ConfigDict, num_classes: int
) -> tuple[Callable[[], perceiver.Head], int]:
    """Returns how to make the head, and how many queries it asks."""
    if model.head == "mean":
        return functools.partial(perceiver.MeanPool, num_classes), 0
    if model.head != "query":
        raise ValueError(f"model.head='{model.head}' is unknown: 'query' or 'mean'.")
    cross_attention = functools.partial(
        attention.CrossAttention,
        num_heads=model.num_cross_heads,
        widening_factor=model.cross_widening,
        query_residual=model.decoder_query_residual,
        dropout_rate=model.dropout,
    )
    return functools.partial(perceiver.Decoder, cross_attention, num_classes), 1


def _image_inputs(
    model: config_dict.ConfigDict, bn_axis: str | None
) -> Callable[[], adapters.ImageInputs]:
    stems: dict[str, Callable | None] = {
        "pixels": None,
        "pointwise": functools.partial(adapters.Pointwise, model.stem_channels),
        "conv": functools.partial(adapters.ConvStem, model.stem_channels, bn_axis),
        "patches": functools.partial(
            adapters.Patches, model.patch_size, model.stem_channels
        ),
    }
    positions: dict[str, Callable] = {
        "fourier": functools.partial(
            position.FourierPosition, model.num_bands, tuple(model.max_resolution)
        ),
        "learned": functools.partial(
            position.LearnedPosition,
            tuple(model.max_resolution),
            model.position_channels,
            model.position_init_scale,
            model.position_projection,
        ),
    }
    for name, chosen, known in (
        ("model.stem", [model.stem], stems),
        ("model.positions", model.positions, positions),
    ):
        for word in chosen:
            if word not in known:
                raise ValueError(
                    f"{name} has '{word}', which is unknown: use {', '.join(known)}."
                )
    return functools.partial(
        adapters.ImageInputs,
        [positions[word] for word in model.positions],
        stems[model.stem],
        PERMUTATION_SEED if model.permute else None,
    )


# Outputs: logits -> numbers and pictures.


def make_metrics(
    loss: str, label_smoothing: float
) -> Callable[[jax.Array, Batch], metrics.Metrics]:
    """Returns (logits, batch) -> loss, top-1 and top-5 of each example."""
    if loss not in ("softmax", "sigmoid"):
        raise ValueError(f"data.loss='{loss}' is unknown: 'softmax' or 'sigmoid'.")

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
    images = image.denormalize(np.asarray(batch["images"], np.float32))
    wrong = np.argmax(logits, -1) != np.argmax(batch["labels"], -1)
    return {"predictions": picture.contact_sheet(images, wrong)}
