"""Wines to the grower they are from, by what a chemist measured of them.

    python -m experiments.train --config=configs/wine.py --workdir=/tmp/wine

178 wines, packed with scikit-learn; seconds on a CPU. tests/test_new_task.py asks for
9 of 10 of the wines held out.
"""

from ml_collections import config_dict

from configs import base


def get_config() -> config_dict.ConfigDict:
    """Returns the one config."""
    config = base.get_config()
    config.task = "wine"
    config.batch_size = 16
    config.eval_batch_size = 18
    config.epochs = 40.0
    config.precision = "params=float32,compute=float32,output=float32"
    config.log_every = 40
    config.eval_every = 120
    config.checkpoint_every = 120
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 5e-3

    config.data = config_dict.ConfigDict()
    config.data.num_held_out = 36

    config.model = base.get_model()
    config.model.position_channels = 8  # of the table that tells measurements apart
    config.model.num_latents = 4
    config.model.latent_channels = 16
    config.model.layers_per_block = 1
    config.model.num_self_heads = 2
    return config


def sweep() -> list[dict[str, object]]:
    """Numbers of latents."""
    return [{"model.num_latents": count} for count in (2, 4, 8)]
