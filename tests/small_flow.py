"""A model of optical flow that compiles in seconds, on tiny frames."""

import jax
import numpy as np

from configs import optical_flow
from experiments import build
from perceiver_jax.engine import evaluation, sharding
from perceiver_jax.engine.forward import make_forward, parse_policy

TILE = (16, 24)

# Three phases of training: both ways, one way, and one way with augmentation.
CURRICULUM = (
    (0.25, 0.0, True, (1.0,)),
    (0.75, 0.0, False, (1.0,)),
    (1.0, 1.0, False, (1.0,)),
)


def make_config(folder="", **changes):
    """A config on datasets in a folder."""
    config = optical_flow.get_config("tiny_synthetic")
    config.batch_size = config.eval_batch_size = 4
    config.data.dir = str(folder)
    config.data.render_size = (20, 28)
    config.data.rendered_pairs = 6
    config.model.image_size = TILE
    config.model.max_resolution = (4, 6)
    config.model.num_bands = 2
    config.model.num_latents = 4
    config.model.latent_channels = 16
    config.model.layers_per_block = 1
    config.model.stem_channels = 8
    config.update_from_flattened_dict(changes)
    return config


def random_variables(config, seed=0):
    """The model's pure functions, and parameters under which frames matter."""
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    batch = {"frames": np.zeros((1, 2, *TILE, 3), np.float32)}
    variables = forward.init(jax.random.key(0), batch, True)
    rng = np.random.default_rng(seed)
    params, state = jax.tree.map(
        lambda x: (0.3 * rng.normal(size=x.shape)).astype(np.float32), variables
    )
    state = jax.tree.map(lambda x: np.abs(x) + 1, state)  # as variances are
    return forward, evaluation.Variables(params, state)


def make_evaluator(task, forward, devices=1):
    """Evaluates a task on some devices, and where its arrays live."""
    parallel = sharding.OverMesh(sharding.make_mesh(jax.devices()[:devices]))
    return evaluation.Evaluator(task, forward, parallel), parallel
