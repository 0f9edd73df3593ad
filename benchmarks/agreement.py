"""Small models of every kind, and their gradients, however the work is shared."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import config_dict

from configs import digits, masked_lm, optical_flow, video_autoencoding
from experiments import build
from perceiver_jax.engine.update import Update

BATCH_SIZE = 16

# Lengths that no number of devices divides; layers that are recomputed; parts in turn.
_SMALL = {
    "batch_size": BATCH_SIZE,
    "accumulate": 2,
    "precision": "params=float32,compute=float32,output=float32",
    "model.num_latents": 4,
    "model.latent_channels": 16,
    "model.layers_per_block": 1,
    "model.num_self_heads": 4,
    "model.remat": True,
}


def iterative() -> config_dict.ConfigDict:
    """The image classifier of 2021: 63 inputs, looked at twice."""
    return _changed(
        digits.get_config(),
        {"data.image_size": (7, 9), "model.num_blocks": 2, "model.num_cross_attends": 2}
        | {"model.head": "mean"},
    )


def convolutional() -> config_dict.ConfigDict:
    """The image classifier of 2022, with BatchNorm, on 64 inputs; one query."""
    fields = {"data.image_size": (32, 32), "accumulate": 1}
    return _changed(digits.get_config("conv"), fields)


def text() -> config_dict.ConfigDict:
    """The masked language model on 21 bytes, some of which are padding."""
    fields = {"data.length": 21, "model.max_length": 32, "model.input_channels": 16}
    whole = {"accumulate": 1, "model.remat": False}
    return _changed(masked_lm.get_config("docs"), fields | whole)


def flow() -> config_dict.ConfigDict:
    """The model of optical flow: 143 inputs and queries, decoded in chunks."""
    fields = {
        "model.image_size": (11, 13),
        "model.max_resolution": (11, 13),
        "model.num_bands": 2,
        "model.stem_channels": 8,
        "model.query_chunk": 10,
        "accumulate": 1,
    }
    return _changed(optical_flow.get_config("tiny_synthetic"), fields)


def video() -> config_dict.ConfigDict:
    """The autoencoder of clips: 41 inputs and 33 queries, in chunks."""
    fields = {
        "model.num_frames": 4,
        "model.image_size": (16, 16),
        "model.samples_per_frame": 32,
        "model.video_patch": (1, 4, 8),
        "model.video_max_resolution": (4, 2),
        "model.query_chunk": 10,
        "data.points.audio": 5,
        "data.points.video": 27,
        "accumulate": 1,
    }
    return _changed(video_autoencoding.get_config(), fields)


CASES = {
    "image, 2021": iterative,
    "image, 2022": convolutional,
    "text": text,
    "flow": flow,
    "video": video,
}


def _changed(config, fields):
    config.update_from_flattened_dict(_SMALL | fields)
    return config


class Found(NamedTuple):
    """What a step gave.

    Attributes:
      loss: its mean.
      gradients: {module: {name: array}}, before any optimizer.
    """

    loss: float
    gradients: Any

    def difference(self, other: "Found") -> tuple[float, float]:
        """Returns by how much two losses, and any two numbers of gradients, differ.

        Gradients are in parts of the largest of them.
        """
        largest = max(np.abs(x).max() for x in jax.tree.leaves(self.gradients))
        both = jax.tree.map(
            lambda x, y: np.abs(x - y).max(), self.gradients, other.gradients
        )
        gradients = max(jax.tree.leaves(both)) / largest
        return float(abs(self.loss - other.loss)), float(gradients)


def make_update(config: config_dict.ConfigDict) -> Update:
    """Returns a step of training that leaves its gradients as the optimizer's state."""
    update = build.make_update(config, build.make_model(config), 10)
    told = optax.GradientTransformation(_nothing, _tell)
    return dataclasses.replace(update, optimizer=told)


def gradients(config: config_dict.ConfigDict, devices: int = 0) -> Found:
    """Takes a step of a config's model as training does, on random numbers.

    Args:
      config: of CASES, with how the work is shared.
      devices: how many to use; 0: all.
    """
    shapes = build.make_model(config).batch(BATCH_SIZE)
    chosen = jax.devices()[:devices] if devices else None
    parallel, update = build.make_parallel(config, chosen), make_update(config)
    state = parallel.initialize(lambda: update.init(shapes))
    batch = parallel.place_batch(_random_batch(shapes))
    state, sums = parallel.compile_update(update)(state, batch)
    total, weight = jax.device_get(sums["loss"])
    return Found(total / weight, jax.device_get(parallel.to_save(state).opt_state))


def _nothing(params):
    return jax.tree.map(jnp.zeros_like, params)


def _tell(gradients, state, params=None):
    """An optimizer that keeps the gradients and changes nothing."""
    del state, params
    return _nothing(gradients), gradients


def _random_batch(shapes):
    rng = np.random.default_rng(0)

    def fill(x):
        if x.dtype == bool:
            return rng.random(x.shape) < 0.7
        if np.issubdtype(x.dtype, np.integer):
            return rng.integers(0, 6, x.shape, x.dtype)
        return rng.normal(size=x.shape).astype(x.dtype)

    mask = np.ones(BATCH_SIZE, np.float32)
    mask[3] = 0  # an example that is padding
    return {**jax.tree.map(fill, shapes), "mask": mask}
