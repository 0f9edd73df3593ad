"""The model of optical flow that a config's `model` describes."""

import functools
from collections.abc import Callable

import jax
from ml_collections import config_dict

from experiments.model import make_decoder, make_perceiver
from perceiver_jax import position
from perceiver_jax.adapters import flow
from perceiver_jax.task import Batch


def make_forward(
    model: config_dict.ConfigDict,
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> flow [B, H, W, 2] in pixels.

    The batch has `frames` [B, 2, H, W, 3] from -1 to 1.
    """
    make_position = functools.partial(
        position.FourierPosition, model.num_bands, tuple(model.max_resolution)
    )

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        frames = batch["frames"]
        inputs = flow.FlowInputs(model.patch_channels, make_position)(frames)
        network = make_perceiver(model, make_decoder(model, 2, zero_output=True))
        outputs = network(inputs, inputs, is_training=is_training)
        return flow.to_flow(outputs, frames.shape[2:4])

    return forward
