"""The parts of a Perceiver that a config's `model` describes, whatever the task.

All are made inside a Haiku function.
"""

from ml_collections import config_dict

from perceiver_jax.model import (
    attention,
    bottleneck,
    perceiver,
    processor,
    transformer,
)


def make_perceiver(
    model: config_dict.ConfigDict, head: perceiver.Head
) -> perceiver.Perceiver:
    """Makes the modules of configs/base.py:get_model."""
    encoder = perceiver.Encoder(
        model.num_latents,
        model.latent_channels,
        lambda: make_cross_attention(model),
        model.latent_init_scale,
    )
    return perceiver.Perceiver(encoder, make_processor(model), head)


def make_processor(
    model: config_dict.ConfigDict,
) -> processor.Processor | processor.IterativeProcessor:
    """Makes the latent Transformer, which looks at the inputs again if it is to."""
    if model.num_cross_attends == 1:
        return _make_latent_transformer(model)
    return processor.IterativeProcessor(
        model.num_blocks,
        model.layers_per_block,
        lambda: make_self_attention(model),
        model.num_cross_attends,
        lambda: make_cross_attention(model),
        model.cross_attends_at_start,
        model.share_weights,
        model.remat,
    )


def _make_latent_transformer(model: config_dict.ConfigDict) -> processor.Processor:
    return processor.Processor(
        model.num_blocks,
        model.layers_per_block,
        lambda: make_self_attention(model),
        model.share_weights,
        model.remat,
    )


def make_bottleneck(model: config_dict.ConfigDict) -> bottleneck.Bottleneck:
    """Makes the code of an autoencoder, and behind it as much as is before it."""
    return bottleneck.Bottleneck(
        model.code_channels,
        lambda: _make_latent_transformer(model),
        model.latent_init_scale,
    )


def make_transformer(model: config_dict.ConfigDict) -> transformer.Transformer:
    """Makes a Transformer of layers_per_block layers."""
    return transformer.Transformer(
        model.layers_per_block, lambda: make_self_attention(model), model.remat
    )


def make_decoder(
    model: config_dict.ConfigDict,
    output_channels: int | None = None,
    zero_output: bool = False,
) -> perceiver.Decoder:
    """Makes the decoder."""
    return perceiver.Decoder(
        lambda: make_decoder_attention(model),
        output_channels,
        zero_output,
        model.query_chunk,
        model.remat,
    )


def make_self_attention(model: config_dict.ConfigDict) -> attention.SelfAttention:
    """Makes a layer of the latent Transformer."""
    return attention.SelfAttention(
        model.num_self_heads,
        model.qk_channels or None,
        model.v_channels or None,
        model.self_widening,
        model.dropout,
        model.gelu == "exact",
    )


def make_cross_attention(model: config_dict.ConfigDict) -> attention.CrossAttention:
    """Makes a layer that looks at the inputs."""
    return attention.CrossAttention(
        model.num_cross_heads,
        model.qk_channels or None,
        model.v_channels or None,
        model.cross_widening,
        dropout_rate=model.dropout,
        exact_gelu=model.gelu == "exact",
        long_axis="inputs",
    )


def make_decoder_attention(model: config_dict.ConfigDict) -> attention.CrossAttention:
    """Makes the layer in which queries look at the latents."""
    return attention.CrossAttention(
        model.num_decoder_heads,
        model.decoder_qk_channels or None,
        model.decoder_v_channels or None,
        model.decoder_widening,
        model.decoder_query_residual,
        model.dropout,
        model.gelu == "exact",
        long_axis="queries",
    )
