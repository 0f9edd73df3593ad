"""The image classifier that a config's `model` describes."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from ml_collections import config_dict

from experiments.imagenet.fields import check_stem
from experiments.imagenet.outputs import Metrics
from experiments.model_parts import classify
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import position
from perceiver_jax.model.adapters import image as adapters

PERMUTATION_SEED = 0  # of the one permutation that all permuted experiments share


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the image classifier of a config of configs/imagenet.py.

    Raises:
      ValueError: its stem has no size.
    """
    check_stem(config.model)
    data = config.data
    return Model(
        forward=Forward(
            config.model, data.num_classes, sharding.update_axis(config.sharding)
        ),
        example={
            "images": jax.ShapeDtypeStruct((*data.image_size, 3), np.float32),
            "labels": jax.ShapeDtypeStruct((data.num_classes,), np.float32),
        },
        metrics=Metrics(data.loss, data.label_smoothing),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> logits.

    Attributes:
      model: the config's.
      num_classes: how many logits.
      bn_axis: of BatchNorm, see sharding.update_axis.
    """

    model: config_dict.ConfigDict
    num_classes: int
    bn_axis: str | None = None

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `images` [B, H, W, 3] to [B, classes]."""
        model = self.model
        inputs = make_inputs(model, self.bn_axis)(batch["images"], is_training)
        return classify(
            model,
            inputs,
            self.num_classes,
            model.latent_channels,
            is_training=is_training,
        )


def make_inputs(
    model: config_dict.ConfigDict, bn_axis: str | None
) -> adapters.ImageInputs:
    """Makes the input adapter, inside a Haiku function."""
    makers: dict[str, Callable[[], adapters.Position]] = {
        "fourier": lambda: position.FourierPosition(
            model.num_bands, model.max_resolution
        ),
        "learned": lambda: position.LearnedPosition(
            model.max_resolution,
            model.position_channels,
            model.position_init_scale,
            model.position_projection,
        ),
    }
    return adapters.ImageInputs(
        [makers[word] for word in model.positions],
        stem_maker(model, bn_axis),
        PERMUTATION_SEED if model.permute else None,
    )


def stem_maker(
    model: config_dict.ConfigDict, bn_axis: str | None = None
) -> Callable[[], adapters.Stem] | None:
    """Returns what makes the stem; None where inputs are the pixels themselves."""
    makers: dict[str, Callable[[], adapters.Stem] | None] = {
        "pixels": None,
        "pointwise": lambda: adapters.Pointwise(model.stem_channels),
        "conv": lambda: adapters.ConvStem(
            model.stem_channels, bn_axis, model.stem_padding == "same"
        ),
        "patches": lambda: adapters.Patches(model.patch_size, model.stem_channels),
    }
    return makers[model.stem]


def lay_out(
    model: config_dict.ConfigDict, maps: np.ndarray, image_size: Sequence[int]
) -> np.ndarray:
    """Lays numbers of the inputs [..., M] out as [..., H, W], where they come from."""
    height, width = adapters.grid_shape(stem_maker(model), image_size)
    if model.permute:
        shuffled, maps = maps, np.empty_like(maps)
        maps[..., adapters.permutation(height * width, PERMUTATION_SEED)] = shuffled
    return maps.reshape(*maps.shape[:-1], height, width)
