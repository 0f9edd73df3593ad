"""Optical flow between two frames (Perceiver IO, table 3 and appendix H).

The model that DeepMind released: 41,057,134 parameters, frames of 368x496. Convert it
with

    python scripts/convert_pretrained.py --model=optical_flow --out=DIR \
        --from=optical_flow_checkpoint.pystate
    python -m experiments.predict --workdir=DIR --output=FLOW first.png second.png
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "patches") -> config_dict.ConfigDict:
    """Returns the released model, on 3x3 patches of both frames."""
    if variant != "patches":
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/optical_flow.py has patches."
        )
    config = base.get_config()
    config.task = "optical_flow"

    config.model = model = base.get_model()
    model.image_size = (368, 496)  # of the frames, and of the tiles of larger ones
    model.patch_channels = 64
    model.num_bands = 64
    model.max_resolution = (368, 496)
    model.num_latents = 2048
    model.latent_channels = 512
    model.layers_per_block = 24
    model.num_self_heads = 16
    model.decoder_query_residual = False  # the query is the pixel's own input
    model.remat = True
    return config
