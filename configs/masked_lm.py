"""Masked language modelling on bytes (Perceiver IO, table 1 and appendix F).

The model that DeepMind released: 201,108,230 parameters, 2,048 bytes. Convert it with

    python scripts/convert_pretrained.py --model=byte_mlm --out=DIR \
        --from=language_perceiver_io_bytes.pickle
    python -m experiments.predict --workdir=DIR --text="The cat sat on the [MASK]at."
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "bytes") -> config_dict.ConfigDict:
    """Returns the released model on bytes."""
    if variant != "bytes":
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/masked_lm.py has bytes."
        )
    config = base.get_config()
    config.task = "masked_lm"

    config.model = model = base.get_model()
    model.vocab_size = 262  # 256 bytes after 6 reserved tokens
    model.max_length = 2048
    model.input_channels = 768
    model.num_latents = 256
    model.latent_channels = 1280
    model.layers_per_block = 26
    model.num_cross_heads = 8
    model.num_self_heads = 8
    model.num_decoder_heads = 8
    model.qk_channels = 256
    model.v_channels = 1280
    model.decoder_qk_channels = 256
    model.decoder_v_channels = 768
    model.decoder_query_residual = False
    model.mask_queries = True  # padded positions query nothing
    model.remat = True
    return config
