"""The digits task at a size that compiles in seconds, as a config."""

from configs import digits

FIELDS = {
    "batch_size": 16,
    "eval_batch_size": 120,
    "epochs": 0.0,
    "steps": 4,
    "log_every": 2,
    "eval_every": 2,
    "checkpoint_every": 2,
    "model.num_latents": 4,
    "model.latent_channels": 16,
    "model.layers_per_block": 1,
}


def get_config(variant="fourier", **fields):
    """A small config with other fields; "__" stands for a dot."""
    config = digits.get_config(variant)
    dotted = {name.replace("__", "."): value for name, value in fields.items()}
    config.update_from_flattened_dict({**FIELDS, **dotted})
    return config
