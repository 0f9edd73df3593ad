"""The parts of a Perceiver that a config's `model` describes, whatever the task."""

import functools
from collections.abc import Callable
from typing import Any

from ml_collections import config_dict

from experiments.checks import check_known
from perceiver_jax.model import attention, perceiver, transformer

_COUNTS = (
    "num_latents",
    "latent_channels",
    "num_cross_heads",
    "num_self_heads",
    "num_decoder_heads",
)


def make_perceiver(
    model: config_dict.ConfigDict, head: perceiver.Head
) -> perceiver.Perceiver:
    """Makes the modules of configs/base.py:get_model, inside a Haiku function.

    Raises:
      ValueError: a size or a number of heads is not positive.
    """
    for field in _COUNTS:
        if model[field] < 1:
            raise ValueError(f"model.{field}={model[field]} must be 1 or more.")
    cross_attention = functools.partial(
        attention.CrossAttention,
        num_heads=model.num_cross_heads,
        widening_factor=model.cross_widening,
        **_common(model),
    )
    return perceiver.Perceiver(
        perceiver.Encoder(
            model.num_latents,
            model.latent_channels,
            cross_attention,
            model.latent_init_scale,
        ),
        perceiver.Processor(
            model.num_blocks,
            model.layers_per_block,
            _self_attention(model),
            model.share_weights,
            model.num_cross_attends,
            cross_attention,
            model.cross_attends_at_start,
            model.remat,
        ),
        head,
    )


def make_transformer(model: config_dict.ConfigDict) -> transformer.Transformer:
    """Makes a Transformer of layers_per_block layers, inside a Haiku function."""
    return transformer.Transformer(
        model.layers_per_block, _self_attention(model), model.remat
    )


def make_decoder(
    model: config_dict.ConfigDict,
    output_channels: int | None = None,
    zero_output: bool = False,
) -> perceiver.Decoder:
    """Makes the decoder, inside a Haiku function."""
    return perceiver.Decoder(
        functools.partial(
            attention.CrossAttention,
            num_heads=model.num_decoder_heads,
            widening_factor=model.decoder_widening,
            query_residual=model.decoder_query_residual,
            **_common(model)
            | {
                "qk_channels": model.decoder_qk_channels or None,
                "v_channels": model.decoder_v_channels or None,
            },
        ),
        output_channels,
        zero_output,
        model.query_chunk,
        model.remat,
    )


def _self_attention(
    model: config_dict.ConfigDict,
) -> Callable[[], attention.SelfAttention]:
    return functools.partial(
        attention.SelfAttention,
        num_heads=model.num_self_heads,
        widening_factor=model.self_widening,
        **_common(model),
    )


def _common(model: config_dict.ConfigDict) -> dict[str, Any]:
    check_known("model.gelu", model.gelu, ("tanh", "exact"))
    return {
        "qk_channels": model.qk_channels or None,
        "v_channels": model.v_channels or None,
        "dropout_rate": model.dropout,
        "exact_gelu": model.gelu == "exact",
    }
