"""The model of optical flow that a config's `model` describes."""

import math
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.model_parts import make_decoder, make_perceiver
from experiments.optical_flow.outputs import measure
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import position
from perceiver_jax.model.adapters import flow, image, tiling


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/optical_flow.py."""
    tile = tuple(config.model.image_size)
    return Model(
        forward=make_forward(config.model, sharding.update_axis(config.shard_state)),
        example={
            "frames": jax.ShapeDtypeStruct((2, *tile, 3), np.float32),
            "flow": jax.ShapeDtypeStruct((*tile, 2), np.float32),
            "valid": jax.ShapeDtypeStruct(tile, bool),
            "damaged": jax.ShapeDtypeStruct(tile, bool),
        },
        metrics=measure,
    )


def make_forward(
    model: config_dict.ConfigDict, bn_axis: str | None = None
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> flow [B, H, W, 2] in pixels.

    The batch has `frames` [B, 2, H, W, 3] from -1 to 1. Frames larger than
    model.image_size are taken in tiles of it.

    Raises:
      ValueError: an unknown stem, or positions of another number of dimensions than
        frames have; when called, frames that are smaller than a tile.
    """
    check_known("model.stem", model.stem, ("patches", "conv"))
    dimensions = 2 if model.concat_frames else 3
    if len(model.max_resolution) != dimensions:
        raise ValueError(
            f"model.max_resolution={tuple(model.max_resolution)} must have "
            f"{dimensions} entries with concat_frames={model.concat_frames}."
        )
    coarse = model.stem == "conv"
    cell = math.prod(image.ConvStem.strides)  # pixels of a coarse cell's side
    channels = flow.upsampled_channels(cell) if coarse else 2
    tile = tuple(model.image_size)

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        make_inputs = flow.FlowInputs(
            lambda: make_stem(model, bn_axis),
            lambda: position.FourierPosition(model.num_bands, model.max_resolution),
            model.concat_frames,
        )
        network = make_perceiver(model, make_decoder(model, channels, zero_output=True))

        def predict(frames: jax.Array) -> jax.Array:
            inputs = make_inputs(frames, is_training)
            queries = make_inputs.queries(inputs)
            outputs = network(inputs, queries, is_training=is_training)
            shape = frames.shape[2:4]
            if coarse:
                return flow.upsample(outputs, shape, cell)
            return flow.to_flow(outputs, shape)

        frames = batch["frames"]
        shape = frames.shape[2:4]
        if shape == tile:
            return predict(frames)
        corners = tiling.tile_corners(shape, tile)
        return tiling.blend_tiles(predict, frames, tile, corners)

    return forward


def make_stem(
    model: config_dict.ConfigDict, bn_axis: str | None = None
) -> flow.PixelPatches | image.ConvStem:
    """Makes the stem of the frames, inside a Haiku function."""
    if model.stem == "conv":
        return image.ConvStem(model.stem_channels, bn_axis)
    return flow.PixelPatches(model.patch_size, model.stem_channels)


def grid_shape(model: config_dict.ConfigDict) -> tuple[int, int]:
    """Returns the rows and columns of the inputs of a frame of model.image_size."""
    return image.grid_shape(lambda: make_stem(model), model.image_size)
