"""Hugging Face's Perceiver models: which array is which.

ours = huggingface.from_arrays(state_dict, huggingface.IMAGENET)
"""

from collections.abc import Sequence

import numpy as np

from perceiver_jax.pretrained.rules import (
    CHANNELS,
    CONVOLUTION_OIHW,
    FRAME_PATCHES_TRANSPOSED,
    KERNEL_OIHW,
    TRANSPOSED,
    Arrays,
    Rule,
    to_ours,
    to_theirs,
)


def _linear(ours: str, theirs: str) -> list[Rule]:
    return [
        Rule(f"{ours}/w", f"{theirs}.weight", TRANSPOSED),
        Rule(f"{ours}/b", f"{theirs}.bias"),
    ]


def _norm(ours: str, theirs: str) -> list[Rule]:
    return [
        Rule(f"{ours}/scale", f"{theirs}.weight"),
        Rule(f"{ours}/offset", f"{theirs}.bias"),
    ]


def _layer(ours: str, theirs: str, norms: Sequence[str]) -> list[Rule]:
    *before, last = norms
    return [
        *_linear(f"{ours}/attention/query", f"{theirs}.attention.self.query"),
        *_linear(f"{ours}/attention/key", f"{theirs}.attention.self.key"),
        *_linear(f"{ours}/attention/value", f"{theirs}.attention.self.value"),
        *_linear(f"{ours}/attention/output", f"{theirs}.attention.output.dense"),
        *_linear(f"{ours}/mlp/hidden", f"{theirs}.mlp.dense1"),
        *_linear(f"{ours}/mlp/output", f"{theirs}.mlp.dense2"),
        *_norm(f"{ours}/{last}", f"{theirs}.layernorm"),
        *(
            rule
            for number, norm in enumerate(before, 1)
            for rule in _norm(
                f"{ours}/{norm}", f"{theirs}.attention.self.layernorm{number}"
            )
        ),
    ]


def _cross(ours: str, theirs: str) -> list[Rule]:
    return _layer(ours, theirs, ("query_norm", "input_norm", "mlp_norm"))


_ENCODER = [
    Rule("encoder/latents", "perceiver.embeddings.latents"),
    *_cross("encoder/cross_attention", "perceiver.encoder.cross_attention"),
    *_layer(
        "processor/block/layers/self_attention",
        "perceiver.encoder.self_attends.{layer}",
        ("attention_norm", "mlp_norm"),
    ),
]


def _decoder(theirs: str) -> list[Rule]:
    return [
        *_cross("decoder/cross_attention", f"{theirs}.decoding_cross_attention"),
        *_linear("decoder/output", f"{theirs}.final_layer"),
    ]


_QUERIES = "output_position_encodings.position_embeddings"
_INPUTS = "perceiver.input_preprocessor"
_PATCHES = "flow_inputs/pixel_patches/linear"
_BATCH_NORM = "image_inputs/conv_stem/batch_norm"

IMAGENET: list[Rule] = [
    Rule(
        "image_inputs/pointwise/linear/w", f"{_INPUTS}.convnet_1x1.weight", KERNEL_OIHW
    ),
    Rule("image_inputs/pointwise/linear/b", f"{_INPUTS}.convnet_1x1.bias"),
    Rule(
        "image_inputs/learned_position/table",
        f"{_INPUTS}.position_embeddings.position_embeddings",
    ),
    *_linear(
        "image_inputs/learned_position/projection", f"{_INPUTS}.positions_projection"
    ),
    Rule(
        "image_inputs/conv_stem/conv/w",
        f"{_INPUTS}.convnet.conv.weight",
        CONVOLUTION_OIHW,
    ),
    Rule(f"{_BATCH_NORM}/scale", f"{_INPUTS}.convnet.batchnorm.weight", CHANNELS),
    Rule(f"{_BATCH_NORM}/offset", f"{_INPUTS}.convnet.batchnorm.bias", CHANNELS),
    Rule(
        f"{_BATCH_NORM}/~/mean_ema/average",
        f"{_INPUTS}.convnet.batchnorm.running_mean",
        CHANNELS,
    ),
    Rule(
        f"{_BATCH_NORM}/~/var_ema/average",
        f"{_INPUTS}.convnet.batchnorm.running_var",
        CHANNELS,
    ),
    *_ENCODER,
    Rule("learned_queries/queries", f"perceiver.decoder.decoder.{_QUERIES}"),
    *_decoder("perceiver.decoder.decoder"),
]

MASKED_LM: list[Rule] = [
    Rule("text_embedding/embeddings", f"{_INPUTS}.embeddings.weight"),
    Rule("text_embedding/positions", f"{_INPUTS}.position_embeddings.weight"),
    Rule("text_embedding/output_bias", "embedding_decoder.bias"),
    *_ENCODER,
    Rule("learned_queries/queries", f"perceiver.decoder.{_QUERIES}"),
    *_cross("decoder/cross_attention", "perceiver.decoder.decoding_cross_attention"),
]

OPTICAL_FLOW: list[Rule] = [
    Rule(
        f"{_PATCHES}/w",
        f"{_INPUTS}.conv_after_patches.weight",
        FRAME_PATCHES_TRANSPOSED,
    ),
    Rule(f"{_PATCHES}/b", f"{_INPUTS}.conv_after_patches.bias"),
    *_ENCODER,
    *_decoder("perceiver.decoder.decoder"),
]

_MODALITIES = ("audio", "image", "label")
_OUTPUTS = "perceiver.output_postprocessor.modalities"

VIDEO_AUTOENCODING: list[Rule] = [
    *(
        Rule(f"multimodal_inputs/{modality}_{ours}", f"{_INPUTS}.{theirs}.{modality}")
        for modality in _MODALITIES
        for ours, theirs in (("padding", "padding"), ("mask_token", "mask"))
    ),
    *_ENCODER,
    Rule(
        "label_queries/queries",
        f"perceiver.decoder.modalities.label.decoder.{_QUERIES}",
    ),
    *(
        Rule(
            f"multimodal_queries/{modality}_padding",
            f"perceiver.decoder.padding.{modality}",
        )
        for modality in _MODALITIES
    ),
    *_decoder("perceiver.decoder.decoder"),
    *(
        rule
        for modality in _MODALITIES
        for rule in _linear(
            f"{modality}_outputs/linear", f"{_OUTPUTS}.{modality}.classifier"
        )
    ),
]

_BATCHES = f"{_INPUTS}.convnet.batchnorm.num_batches_tracked"
_DECAY = 0.9  # of our BatchNorm's averages


def from_arrays(theirs: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """Returns a state dict's arrays by our paths, with BatchNorm's state complete.

    Raises:
      ValueError: as rules.to_ours.
    """
    theirs = dict(theirs)
    batches = np.int32(theirs.pop(_BATCHES, 0))
    ours = to_ours(theirs, rules)
    for average in ("mean_ema", "var_ema"):
        path = f"{_BATCH_NORM}/~/{average}"
        if f"{path}/average" in ours:
            # Haiku keeps the running sum that its average is a debiased form of.
            weight = np.float32(1 - _DECAY ** int(batches))
            ours[f"{path}/hidden"] = ours[f"{path}/average"] * weight
            ours[f"{path}/counter"] = np.asarray(batches)
    return ours


def to_arrays(ours: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """The inverse of `from_arrays`."""
    ours = dict(ours)
    batches = ours.pop(f"{_BATCH_NORM}/~/mean_ema/counter", None)
    for path in ("mean_ema/hidden", "var_ema/hidden", "var_ema/counter"):
        ours.pop(f"{_BATCH_NORM}/~/{path}", None)
    theirs = to_theirs(ours, rules)
    if batches is not None:
        theirs[_BATCHES] = np.asarray(batches, np.int64)
    return theirs
