"""The image classifier that a config's `model` describes."""

import functools
from collections.abc import Callable

import jax
from ml_collections import config_dict

from perceiver_jax import attention, perceiver, position
from perceiver_jax.adapters import image as adapters
from perceiver_jax.task import Batch

PERMUTATION_SEED = 0  # of the one permutation that all permuted experiments share


def make_forward(
    model: config_dict.ConfigDict, num_classes: int, bn_axis: str | None
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> logits [B, classes]."""
    make_inputs = _image_inputs(model, bn_axis)
    cross_attention = functools.partial(
        attention.CrossAttention,
        num_heads=model.num_cross_heads,
        widening_factor=model.cross_widening,
        dropout_rate=model.dropout,
    )
    self_attention = functools.partial(
        attention.SelfAttention,
        num_heads=model.num_self_heads,
        widening_factor=model.self_widening,
        dropout_rate=model.dropout,
    )
    make_head, num_queries = _classifier(model, num_classes)

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        inputs = make_inputs()(batch["images"], is_training)
        network = perceiver.Perceiver(
            perceiver.Encoder(
                model.num_latents,
                model.latent_channels,
                cross_attention,
                model.latent_init_scale,
            ),
            perceiver.Processor(
                model.num_blocks,
                model.layers_per_block,
                self_attention,
                model.share_weights,
                model.num_cross_attends,
                cross_attention,
                model.cross_attends_at_start,
                model.remat,
            ),
            make_head(),
        )
        queries = None
        if num_queries:
            queries = perceiver.LearnedQueries(num_queries, model.latent_channels)()
        return network(inputs, queries, is_training=is_training)[:, 0]

    return forward


def _classifier(
    model: config_dict.ConfigDict, num_classes: int
) -> tuple[Callable[[], perceiver.Head], int]:
    """Returns how to make the head, and how many queries it asks."""
    if model.head == "mean":
        return functools.partial(perceiver.MeanPool, num_classes), 0
    if model.head != "query":
        raise ValueError(f"model.head='{model.head}' is unknown: 'query' or 'mean'.")
    cross_attention = functools.partial(
        attention.CrossAttention,
        num_heads=model.num_cross_heads,
        widening_factor=model.cross_widening,
        query_residual=model.decoder_query_residual,
        dropout_rate=model.dropout,
    )
    return functools.partial(perceiver.Decoder, cross_attention, num_classes), 1


def _image_inputs(
    model: config_dict.ConfigDict, bn_axis: str | None
) -> Callable[[], adapters.ImageInputs]:
    stems: dict[str, Callable | None] = {
        "pixels": None,
        "pointwise": functools.partial(adapters.Pointwise, model.stem_channels),
        "conv": functools.partial(adapters.ConvStem, model.stem_channels, bn_axis),
        "patches": functools.partial(
            adapters.Patches, model.patch_size, model.stem_channels
        ),
    }
    positions: dict[str, Callable] = {
        "fourier": functools.partial(
            position.FourierPosition, model.num_bands, tuple(model.max_resolution)
        ),
        "learned": functools.partial(
            position.LearnedPosition,
            tuple(model.max_resolution),
            model.position_channels,
            model.position_init_scale,
            model.position_projection,
        ),
    }
    for name, chosen, known in (
        ("model.stem", [model.stem], stems),
        ("model.positions", model.positions, positions),
    ):
        for word in chosen:
            if word not in known:
                raise ValueError(
                    f"{name} has '{word}', which is unknown: use {', '.join(known)}."
                )
    return functools.partial(
        adapters.ImageInputs,
        [positions[word] for word in model.positions],
        stems[model.stem],
        PERMUTATION_SEED if model.permute else None,
    )
