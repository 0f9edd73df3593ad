"""An autoencoder of photos that compiles in seconds, on crops of 12x16 pixels."""

import jax
import numpy as np
from PIL import Image

from configs import image_autoencoding
from experiments import build
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward, parse_policy

SIZE = (12, 16)


def make_config(**changes):
    config = image_autoencoding.get_config("tiny")
    config.batch_size = config.eval_batch_size = 4
    config.data.num_queries = 20
    config.data.test_crops = 3
    config.model.image_size = SIZE
    config.model.patch_size = 4
    config.model.stem_channels = 8
    config.model.num_bands = 3
    config.model.max_resolution = (3, 4)
    config.model.query_max_resolution = (6, 8)
    config.model.num_latents = 5
    config.model.latent_channels = 16
    config.model.code_channels = 2
    config.model.layers_per_block = 1
    config.model.query_chunk = 64  # of 192 pixels
    config.update_from_flattened_dict(changes)
    return config


def random_variables(config, seed=0):
    """The model's pure functions, and parameters under which pictures matter."""
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    batch = {"image": np.zeros((1, *SIZE, 3), np.float32)}
    params, state = jax.eval_shape(lambda: forward.init(jax.random.key(0), batch, True))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda x: (0.3 * rng.normal(size=x.shape)).astype(np.float32), params
    )
    return forward, Variables(params, state)


def make_apply(config):
    """The model with these parameters, compiled: a batch to colours."""
    forward, variables = random_variables(config)
    return jax.jit(lambda batch: forward.apply(*variables, None, batch, False)[0])


def make_images(count=2, size=SIZE, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *size, 3)).astype("f4")


def write_photos(folder, **shapes):
    """PNG files of noise, by name."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    paths = []
    for name, shape in shapes.items():
        paths.append(folder / f"{name}.png")
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    return paths
