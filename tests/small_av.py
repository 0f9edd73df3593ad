"""A small autoencoder of clips, untrained."""

import jax
import numpy as np

from configs import video_autoencoding
from experiments import build
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward, parse_policy

FIELDS = {
    "batch_size": 4,
    "eval_batch_size": 4,
    "data.rendered_clips": 40,
    "data.points.audio": 2,
    "data.points.video": 6,
    "model.num_frames": 2,
    "model.image_size": (8, 8),
    "model.samples_per_frame": 32,
    "model.video_patch": (1, 4, 4),
    "model.video_max_resolution": (4, 4),
    "model.num_latents": 4,
    "model.latent_channels": 16,
    "model.layers_per_block": 1,
}


def make_config(**changes):
    config = video_autoencoding.get_config("shapes")
    config.update_from_flattened_dict({**FIELDS, **changes})
    return config


def random_variables(config):
    """The forward pass, and parameters under which clips matter."""
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    params, state = jax.eval_shape(
        lambda batch: forward.init(jax.random.key(0), batch, False), model.batch(1)
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: (0.3 * rng.normal(size=x.shape)).astype(np.float32), params
    )
    return forward, Variables(params, state)


def make_batch(config, count):
    """The first held-out clips of a config, all of each to be decoded."""
    batch = next(iter(build.make_task(config).evaluations["test"].batches()))
    return {name: x[:count].copy() for name, x in batch.items() if name != "mask"} | {
        "mask": np.ones(count, np.float32)
    }
