"""The model of optical flow that a config's `model` describes."""

import dataclasses
import math

import jax
import numpy as np
from ml_collections import config_dict

from experiments.model_parts import make_decoder, make_perceiver
from experiments.optical_flow.outputs import measure
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import position
from perceiver_jax.model.adapters import flow, image, tiling


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/optical_flow.py.

    Raises:
      ValueError: positions of another number of dimensions than the frames have.
    """
    model = config.model
    dimensions = 2 if model.concat_frames else 3
    if len(model.max_resolution) != dimensions:
        raise ValueError(
            f"model.max_resolution={tuple(model.max_resolution)} must have "
            f"{dimensions} entries with concat_frames={model.concat_frames}."
        )
    tile = tuple(model.image_size)
    return Model(
        forward=Forward(model, sharding.update_axis(config.sharding)),
        example={
            "frames": jax.ShapeDtypeStruct((2, *tile, 3), np.float32),
            "flow": jax.ShapeDtypeStruct((*tile, 2), np.float32),
            "valid": jax.ShapeDtypeStruct(tile, bool),
            "damaged": jax.ShapeDtypeStruct(tile, bool),
        },
        metrics=measure,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> flow in pixels.

    Attributes:
      model: the config's.
      bn_axis: of BatchNorm, see sharding.update_axis.
    """

    model: config_dict.ConfigDict
    bn_axis: str | None = None

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `frames` [B, 2, H, W, 3] from -1 to 1 to [B, H, W, 2].

        Frames larger than model.image_size are taken in tiles of it.

        Raises:
          ValueError: frames are smaller than a tile.
        """
        model, tile = self.model, tuple(self.model.image_size)
        is_coarse = model.stem == "conv"
        cell = math.prod(image.ConvStem.strides)  # pixels of a coarse cell's side
        channels = flow.upsampled_channels(cell) if is_coarse else 2
        make_inputs = flow.FlowInputs(
            lambda: make_stem(model, self.bn_axis),
            lambda: position.FourierPosition(model.num_bands, model.max_resolution),
            model.concat_frames,
        )
        network = make_perceiver(model, make_decoder(model, channels, zero_output=True))

        def predict(frames):
            inputs = make_inputs(frames, is_training)
            queries = make_inputs.queries(inputs)
            outputs = network(inputs, queries, is_training=is_training)
            if is_coarse:
                return flow.upsample(outputs, frames.shape[2:4], cell)
            return flow.to_flow(outputs, frames.shape[2:4])

        frames = batch["frames"]
        shape = frames.shape[2:4]
        if shape == tile:
            return predict(frames)
        corners = tiling.tile_corners(shape, tile)
        return tiling.blend_tiles(predict, frames, tile, corners)


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
