"""The image classifier that a config's `model` describes."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import config_dict

from experiments.imagenet.outputs import Metrics
from experiments.model_parts import make_decoder, make_perceiver
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import perceiver, position
from perceiver_jax.model.adapters import image as adapters

PERMUTATION_SEED = 0  # of the one permutation that all permuted experiments share


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the image classifier of a config of configs/imagenet.py."""
    data = config.data
    return Model(
        forward=make_forward(
            config.model, data.num_classes, sharding.update_axis(config.shard_state)
        ),
        example={
            "images": jax.ShapeDtypeStruct((*data.image_size, 3), np.float32),
            "labels": jax.ShapeDtypeStruct((data.num_classes,), np.float32),
        },
        metrics=Metrics(data.loss, data.label_smoothing),
    )


def make_forward(
    model: config_dict.ConfigDict, num_classes: int, bn_axis: str | None
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> logits [B, classes]."""
    make_inputs = _image_inputs(model, bn_axis)

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        inputs = make_inputs()(batch["images"], is_training)
        head: perceiver.Head
        if model.head == "mean":
            head, queries = perceiver.MeanPool(num_classes), None
        else:
            head = make_decoder(model, num_classes)
            queries = perceiver.LearnedQueries(1, model.latent_channels)()
        network = make_perceiver(model, head)
        return network(inputs, queries, is_training=is_training)[:, 0]

    return forward


def _image_inputs(
    model: config_dict.ConfigDict, bn_axis: str | None
) -> Callable[[], adapters.ImageInputs]:
    stems: dict[str, Callable | None] = {
        "pixels": None,
        "pointwise": functools.partial(adapters.Pointwise, model.stem_channels),
        "conv": functools.partial(
            adapters.ConvStem,
            model.stem_channels,
            bn_axis,
            model.stem_padding == "same",
        ),
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
    return functools.partial(
        adapters.ImageInputs,
        [positions[word] for word in model.positions],
        stems[model.stem],
        PERMUTATION_SEED if model.permute else None,
    )
