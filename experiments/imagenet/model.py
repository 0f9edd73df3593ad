"""The image classifier that a config's `model` describes."""

import functools
from collections.abc import Callable

import jax
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.model_parts import make_decoder, make_perceiver
from perceiver_jax.engine.task import Batch
from perceiver_jax.model import perceiver, position
from perceiver_jax.model.adapters import image as adapters

PERMUTATION_SEED = 0  # of the one permutation that all permuted experiments share


def make_forward(
    model: config_dict.ConfigDict, num_classes: int, bn_axis: str | None
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> logits [B, classes]."""
    make_inputs = _image_inputs(model, bn_axis)
    check_known("model.head", model.head, ("query", "mean"))

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        inputs = make_inputs()(batch["images"], is_training)
        head: perceiver.Head
        if model.head == "mean":
            head, queries = perceiver.MeanPool(num_classes), None
        else:
            head = make_decoder(model, num_classes)
            queries = perceiver.LearnedQueries(1, model.latent_channels)()
        network = make_perceiver(model, head)
        return network(inputs, queries, is_training=is_training)[:, 0]

    return forward


def _image_inputs(
    model: config_dict.ConfigDict, bn_axis: str | None
) -> Callable[[], adapters.ImageInputs]:
    stems: dict[str, Callable | None] = {
        "pixels": None,
        "pointwise": functools.partial(adapters.Pointwise, model.stem_channels),
        "conv": functools.partial(
            adapters.ConvStem,
            model.stem_channels,
            bn_axis,
            model.stem_padding == "same",
        ),
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
        ("model.stem_padding", [model.stem_padding], ("same", "torch")),
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
