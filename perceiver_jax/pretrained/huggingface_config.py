"""Hugging Face's Perceiver models: which config is which.

Its numbers differ from DeepMind's in places; fields of our config say which are meant:

| there                                               | our config              |
|-----------------------------------------------------|-------------------------|
| exact GELU, unless hidden_act names the tanh form   | gelu                    |
| the convolution's padding, 55x55 cells of 224 pixels| stem_padding            |
| a query residual in the learned-position classifier | decoder_query_residual  |
| padded positions of text query the latents too      | mask_queries            |
"""

from collections.abc import Mapping
from typing import Any

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
        "stem": "patches",
        "stem_channels": 64,
        "patch_size": 3,
        "concat_frames": True,
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
