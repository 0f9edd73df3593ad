"""The image classifiers that DeepMind released, and Hugging Face's of the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.imagenet import class_names
from perceiver_jax.pretrained import deepmind, huggingface
from perceiver_jax.pretrained.released import (
    Batch,
    Classes,
    Comparison,
    Field,
    HuggingFace,
    Released,
)
from perceiver_jax.pretrained.rules import (
    CONVOLUTION_OIHW,
    KERNEL_HWIO,
    KERNEL_OIHW,
    Rule,
)

_PIXELS = "image_preprocessor/~"
_POSITIONS = "image_preprocessor/~_build_network_inputs"
_CLASSIFIER = "classification_decoder/~/basic_decoder"

# One table for the three models: each has some of the inputs' arrays.
DEEPMIND: list[Rule] = [
    Rule("image_inputs/pointwise/linear/w", f"{_PIXELS}/conv2_d/w", KERNEL_HWIO),
    Rule("image_inputs/pointwise/linear/b", f"{_PIXELS}/conv2_d/b"),
    Rule(
        "image_inputs/learned_position/table",
        f"{_POSITIONS}/trainable_position_encoding/pos_embs",
    ),
    *deepmind.linear(
        "image_inputs/learned_position/projection",
        f"{_POSITIONS}/position_encoding_projector/linear",
    ),
    Rule("image_inputs/conv_stem/conv/w", f"{_PIXELS}/conv2_d_downsample/~/conv/w"),
    *deepmind.batch_norm(
        "image_inputs/conv_stem/batch_norm",
        f"{_PIXELS}/conv2_d_downsample/~/batchnorm",
    ),
    *deepmind.encoder("perceiver_encoder/~"),
    Rule(
        "learned_queries/queries",
        f"{_CLASSIFIER}/~/trainable_position_encoding/pos_embs",
    ),
    *deepmind.decoder(_CLASSIFIER),
]

_THEIR_DECODER = "perceiver.decoder.decoder"

HUGGINGFACE: list[Rule] = [
    Rule(
        "image_inputs/pointwise/linear/w",
        f"{huggingface.INPUTS}.convnet_1x1.weight",
        KERNEL_OIHW,
    ),
    Rule("image_inputs/pointwise/linear/b", f"{huggingface.INPUTS}.convnet_1x1.bias"),
    Rule(
        "image_inputs/learned_position/table",
        f"{huggingface.INPUTS}.position_embeddings.position_embeddings",
    ),
    *huggingface.linear(
        "image_inputs/learned_position/projection",
        f"{huggingface.INPUTS}.positions_projection",
    ),
    Rule(
        "image_inputs/conv_stem/conv/w",
        f"{huggingface.INPUTS}.convnet.conv.weight",
        CONVOLUTION_OIHW,
    ),
    *huggingface.batch_norm(
        "image_inputs/conv_stem/batch_norm", f"{huggingface.INPUTS}.convnet.batchnorm"
    ),
    *huggingface.encoder(),
    Rule("learned_queries/queries", f"{_THEIR_DECODER}.{huggingface.QUERIES}"),
    *huggingface.decoder(_THEIR_DECODER),
]


def _arguments(batch: Batch) -> dict[str, np.ndarray]:
    return {"inputs": np.moveaxis(batch["images"], -1, 1)}


def _square(side: int) -> tuple[int, int]:
    return side, side


def _side(size: tuple[int, int], model: Mapping[str, Any]) -> int:
    del model
    return size[0]


def _released(
    variant: str,
    file: str,
    architecture: str,
    *,
    stem: str,
    fixed: Mapping[str, Any],
    numbers: Mapping[str, Any],
    sizes: tuple[Field, ...] = (),
    settings: Mapping[str, int],
    training: tuple[str, ...] = (),
) -> Released:
    """A row: what differs between the three."""
    return Released(
        name=f"imagenet_{variant}",
        config=f"configs/imagenet.py:{variant}",
        file=file,
        deepmind=DEEPMIND,
        huggingface=HuggingFace(
            architecture,
            HUGGINGFACE,
            fixed={"stem": stem, **fixed},
            numbers=numbers,
            sizes=sizes,
        ),
        comparison=Comparison(settings, _arguments, training=training),
        mark={"stem": stem},
        classes=Classes("classes", "num_classes", class_names.imagenet_names()),
    )


MODELS = (
    _released(
        "fourier",
        "imagenet_fourier_position_encoding.pystate",
        "PerceiverForImageClassificationFourier",
        stem="pixels",
        fixed={
            "positions": ("fourier",),
            "num_bands": 64,
            "max_resolution": (224, 224),
        },
        numbers={"decoder_query_residual": True},
        settings={"d_model": 261},
        training=("--config=configs/digits.py", "--config.epochs=2.0"),
    ),
    _released(
        "learned",
        "imagenet_learned_position_encoding.pystate",
        "PerceiverForImageClassificationLearned",
        stem="pointwise",
        fixed={
            "stem_channels": 256,
            "positions": ("learned",),
            "position_channels": 256,
            "position_projection": 256,
        },
        numbers={"decoder_query_residual": True},  # DeepMind's has none
        sizes=(
            # One position a pixel, so images have one size; others take any.
            Field("model.max_resolution", "image_size", _square, _side),
            Field("data.image_size", "image_size", _square, _side),
        ),
        settings={"d_model": 512, "image_size": 12},
    ),
    _released(
        "conv",
        "imagenet_conv_preprocessing.pystate",
        "PerceiverForImageClassificationConvProcessing",
        stem="conv",
        fixed={
            "stem_channels": 64,
            "positions": ("fourier",),
            "num_bands": 64,
            "max_resolution": (56, 56),
        },
        numbers={"stem_padding": "torch", "decoder_query_residual": True},
        settings={"d_model": 322},
        training=("--config=configs/digits.py:conv", "--config.epochs=1.0"),
    ),
)
