"""Hugging Face's Perceiver models: which array is which, and which config is which.

Its numbers differ from DeepMind's in places; fields of our config say which are meant:

| there                                               | our config              |
|-----------------------------------------------------|-------------------------|
| exact GELU, unless hidden_act names the tanh form   | gelu                    |
| the convolution's padding, 55x55 cells of 224 pixels| stem_padding            |
| a query residual in the learned-position classifier | decoder_query_residual  |
| padded positions of text query the latents too      | mask_queries            |
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perceiver_jax.pretrained.rules import (
    CHANNELS,
    CONVOLUTION_OIHW,
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


def _block(ours: str, theirs: str, norms: Sequence[str]) -> list[Rule]:
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
    return _block(ours, theirs, ("query_norm", "input_norm", "mlp_norm"))


_ENCODER = [
    Rule("encoder/latents", "perceiver.embeddings.latents"),
    *_cross("encoder/cross_attention", "perceiver.encoder.cross_attention"),
    *_block(
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
    *_linear("flow_inputs/patches", f"{_INPUTS}.conv_after_patches"),
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

# Model names as in scripts/convert_pretrained.py.
ARCHITECTURES = {
    "imagenet_fourier": "PerceiverForImageClassificationFourier",
    "imagenet_learned": "PerceiverForImageClassificationLearned",
    "imagenet_conv": "PerceiverForImageClassificationConvProcessing",
    "byte_mlm": "PerceiverForMaskedLM",
    "optical_flow": "PerceiverForOpticalFlow",
}

# (our field, their field) where both count the same thing.
_FIELDS = [
    ("num_latents", "num_latents"),
    ("latent_channels", "d_latents"),
    ("num_blocks", "num_blocks"),
    ("layers_per_block", "num_self_attends_per_block"),
    ("num_cross_heads", "num_cross_attention_heads"),
    ("num_self_heads", "num_self_attention_heads"),
    ("cross_widening", "cross_attention_widening_factor"),
    ("self_widening", "self_attention_widening_factor"),
    ("qk_channels", "qk_channels"),
    ("v_channels", "v_channels"),
]
_GELU = {"exact": "gelu", "tanh": "gelu_pytorch_tanh"}
_TANH = (_GELU["tanh"], "gelu_new", "gelu_fast", "gelu_python_tanh")

# What Hugging Face's classes have in their code and not in their config.
_FIXED: dict[str, dict[str, Any]] = {
    "imagenet_fourier": {
        "stem": "pixels",
        "positions": ("fourier",),
        "num_bands": 64,
        "max_resolution": (224, 224),
        "decoder_query_residual": True,
    },
    "imagenet_learned": {
        "stem": "pointwise",
        "stem_channels": 256,
        "positions": ("learned",),
        "position_channels": 256,
        "position_projection": 256,
        "decoder_query_residual": True,
    },
    "imagenet_conv": {
        "stem": "conv",
        "stem_channels": 64,
        "stem_padding": "torch",
        "positions": ("fourier",),
        "num_bands": 64,
        "max_resolution": (56, 56),
        "decoder_query_residual": True,
    },
    "byte_mlm": {
        "num_decoder_heads": 8,
        "decoder_qk_channels": 256,
        "decoder_query_residual": False,
        "mask_queries": False,
    },
    "optical_flow": {
        "patch_channels": 64,
        "num_bands": 64,
        "decoder_query_residual": False,
    },
}
_FIXED_FOR_ALL = {
    "num_cross_attends": 1,
    "decoder_widening": 1,
    "decoder_qk_channels": 0,
    "decoder_v_channels": 0,
    "num_decoder_heads": 1,
}
# These differ in their numbers only: an export says so and goes on.
_ONLY_NUMBERS = ("stem_padding", "decoder_query_residual", "mask_queries")


def from_config(theirs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns a model's name and the fields of our config that differ from its own.

    Args:
      theirs: their config.json.

    Returns:
      One of ARCHITECTURES, and {"model.FIELD" or "data.FIELD": value}.

    Raises:
      ValueError: another architecture, or one that was never released.
    """
    names = {architecture: name for name, architecture in ARCHITECTURES.items()}
    found = theirs.get("architectures") or ["none"]
    if found[0] not in names:
        raise ValueError(
            f"config.json has architectures={found}; known are {', '.join(names)}."
        )
    name = names[found[0]]
    if missing := {their for _, their in _FIELDS} - theirs.keys():
        raise ValueError(f"config.json has no {', '.join(sorted(missing))}.")
    for field, known in (
        ("cross_attention_shape_for_attention", "kv"),
        ("use_query_residual", True),
    ):
        if theirs.get(field, known) != known:
            raise ValueError(f"config.json has {field}={theirs[field]}, not {known}.")
    act = theirs.get("hidden_act", "gelu")
    if act != "gelu" and act not in _TANH:
        raise ValueError(f"config.json has hidden_act='{act}', which is no GELU.")
    model: dict[str, Any] = {ours: theirs[field] or 0 for ours, field in _FIELDS}
    model["gelu"] = "exact" if act == "gelu" else "tanh"
    model |= _FIXED_FOR_ALL | _FIXED[name] | _sizes(name, theirs)
    fields = {f"model.{field}": value for field, value in model.items()}
    if name.startswith("imagenet"):
        fields["data.num_classes"] = len(theirs.get("id2label") or [0, 1])
    if name == "imagenet_learned":  # one position a pixel; others take any size
        fields["data.image_size"] = model["max_resolution"]
    return name, fields


def _sizes(name: str, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes of inputs, which each architecture keeps in a field of its own."""
    if name == "byte_mlm":
        return {
            "vocab_size": theirs["vocab_size"],
            "max_length": theirs["max_position_embeddings"],
            "input_channels": theirs["d_model"],
            "decoder_v_channels": theirs["d_model"],
        }
    if name == "optical_flow":
        size = tuple(theirs["train_size"])
        return {"image_size": size, "max_resolution": size}
    if name == "imagenet_learned":
        return {"max_resolution": (theirs["image_size"],) * 2}
    return {}


def to_config(
    name: str, model: Mapping[str, Any], num_classes: int, input_channels: int
) -> tuple[dict[str, Any], list[str]]:
    """Returns their config.json, and in which fields their numbers will differ.

    Args:
      name: one of ARCHITECTURES.
      model: our config's `model`.
      num_classes: of an image classifier; not used for others.
      input_channels: C of the encoder's inputs.

    Raises:
      ValueError: their code has no such model; all fields that it can't have.
    """
    sizes: dict[str, Any] = {}
    if name == "byte_mlm":
        sizes = {
            "vocab_size": model["vocab_size"],
            "max_position_embeddings": model["max_length"],
        }
    elif name == "optical_flow":
        sizes = {"train_size": list(model["max_resolution"])}
    elif name == "imagenet_learned":
        sizes = {"image_size": model["max_resolution"][0]}
    theirs = {
        "architectures": [ARCHITECTURES[name]],
        "model_type": "perceiver",
        "d_model": input_channels,
        "hidden_act": _GELU[model["gelu"]],
        **{field: model[ours] or None for ours, field in _FIELDS},
        **sizes,
    }
    if name.startswith("imagenet"):
        theirs["id2label"] = {str(i): f"LABEL_{i}" for i in range(num_classes)}
        theirs["label2id"] = {f"LABEL_{i}": i for i in range(num_classes)}
    _, back = from_config(theirs)
    fixed = {"share_weights": True, "permute": False, "head": "query"}
    if model["num_blocks"] == 1:
        del fixed["share_weights"]
    wanted = fixed | {
        field.removeprefix("model."): value
        for field, value in back.items()
        if field.startswith("model.")
    }
    differs = [f for f, value in wanted.items() if f in model and model[f] != value]
    if unknown := [field for field in differs if field not in _ONLY_NUMBERS]:
        listed = ", ".join(f"{f}={model[f]} (there: {wanted[f]})" for f in unknown)
        raise ValueError(f"{ARCHITECTURES[name]} can't have model fields {listed}.")
    return theirs, differs


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
