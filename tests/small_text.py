"""Configs of the text tasks at a size that compiles in seconds."""

from configs import glue, masked_lm

SIZES = {
    "batch_size": 8,
    "eval_batch_size": 8,
    "epochs": 0.0,
    "steps": 2,
    "log_every": 1,
    "optimizer.schedule": "constant",
    "precision": "params=float32,compute=float32,output=float32",
    "data.length": 48,
    "model.max_length": 48,
    "model.input_channels": 16,
    "model.num_latents": 4,
    "model.layers_per_block": 1,
    "model.latent_channels": 16,
    "model.qk_channels": 16,
    "model.v_channels": 16,
    "model.decoder_v_channels": 16,
}


def masked_lm_config(**fields):
    """The docs variant."""
    config = masked_lm.get_config("docs")
    config.update_from_flattened_dict(SIZES | fields)
    return config


def glue_config(variant="multitask_query", **fields):
    """A variant of GLUE with the docs model, on the official files."""
    config = glue.get_config(f"{variant},docs")
    config.update_from_flattened_dict(SIZES | {"data.source": "tsv"} | fields)
    return config
