"""Hugging Face's config.json of a Perceiver: which field of ours is which.

Its numbers differ from DeepMind's in places; fields of our config say which are meant:

| there                                               | our config              |
|-----------------------------------------------------|-------------------------|
| exact GELU, unless hidden_act names the tanh form   | gelu                    |
| the convolution's padding, 55x55 cells of 224 pixels| stem_padding            |
| a query residual in the learned-position classifier | decoder_query_residual  |
| padded positions of text query the latents too      | mask_queries            |
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perceiver_jax.pretrained.released import Field, Released


def _count(value: Any) -> int:
    if not isinstance(value, int | None):
        raise TypeError
    return value or 0


def _count_or_null(value: int, model: Mapping[str, Any]) -> int | None:
    del model
    return value or None


# Sizes that every class has. "By default" is null there and 0 here.
_SIZES = [
    Field(f"model.{ours}", theirs, _count, _count_or_null)
    for ours, theirs in (
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
    )
]
_GELU = {"exact": "gelu", "tanh": "gelu_pytorch_tanh"}
_TANH = (_GELU["tanh"], "gelu_new", "gelu_fast", "gelu_python_tanh")

# What is the same in the code of all classes there, as fields of our `model`.
_FIXED_FOR_ALL = {
    "num_cross_attends": 1,
    "decoder_widening": 1,
    "decoder_qk_channels": 0,
    "decoder_v_channels": 0,
    "num_decoder_heads": 1,
}
# The same, in fields that not all of our models have.
_FIXED_WHERE_PRESENT = {
    "share_weights": True,
    "permute": False,
    "head": "query",
}


def identify(theirs: Mapping[str, Any], models: Iterable[Released]) -> Released:
    """Returns which of the models a config.json is of.

    Raises:
      ValueError: none of them.
    """
    by_name = {model.huggingface.architecture: model for model in models}
    found = theirs.get("architectures")
    if not isinstance(found, list) or len(found) != 1 or found[0] not in by_name:
        raise ValueError(
            f"architectures={found}, which names none of the models known here: "
            f"{', '.join(by_name)}."
        )
    return by_name[found[0]]


def from_config(theirs: Mapping[str, Any], model: Released) -> dict[str, Any]:
    """Returns the fields of our config that config.json says.

    Args:
      theirs: their config.json.
      model: what it is of, from `identify`.

    Returns:
      {"model.FIELD" or "data.FIELD": value}.

    Raises:
      ValueError: a field is missing or has a value that no released model has.
    """
    sizes = _sizes(model)
    if missing := {field.theirs for field in sizes} - theirs.keys():
        raise ValueError(f"no field {', '.join(sorted(missing))}.")
    for name, known in (
        ("cross_attention_shape_for_attention", "kv"),
        ("use_query_residual", True),
    ):
        if theirs.get(name, known) != known:
            raise ValueError(f"{name}={theirs[name]}, which must be {known}.")
    act = theirs.get("hidden_act", "gelu")
    if act != "gelu" and act not in _TANH:
        raise ValueError(f"hidden_act='{act}', which is no GELU.")
    fixed = _FIXED_FOR_ALL | {**model.huggingface.fixed, **model.huggingface.numbers}
    fields = {f"model.{name}": value for name, value in fixed.items()}
    fields["model.gelu"] = "exact" if act == "gelu" else "tanh"
    for field in sizes:
        fields[field.ours] = _convert(field, theirs[field.theirs])
    if model.classes:
        fields[f"data.{model.classes.field}"] = len(_labels(theirs))
    return fields


def class_names(theirs: Mapping[str, Any]) -> list[str]:
    """Returns the names of the classes, none where config.json only numbers them."""
    labels = _labels(theirs)
    return [] if labels == _numbered(len(labels)) else labels


def to_config(
    model: Released,
    ours: Mapping[str, Any],
    input_channels: int,
    num_classes: int = 0,
    names: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Returns their config.json, and in which fields their numbers will differ.

    Args:
      model: what it is to be a config of.
      ours: our config's `model`.
      input_channels: C of the encoder's inputs.
      num_classes: of a classifier.
      names: of its classes, where they are known.

    Raises:
      ValueError: their code has no such model; all fields that it can't have.
    """
    theirs = {
        "architectures": [model.huggingface.architecture],
        "model_type": "perceiver",
        "hidden_act": _GELU[ours["gelu"]],
        **{
            field.theirs: field.to_theirs(ours[name], ours)
            for name, field in _model_sizes(model).items()
        },
        "d_model": input_channels,
    }
    if model.classes:
        labels = names or _numbered(num_classes)
        theirs["id2label"] = {str(i): label for i, label in enumerate(labels)}
        theirs["label2id"] = {label: i for i, label in enumerate(labels)}

    wanted: dict[str, Any] = dict(_FIXED_WHERE_PRESENT)
    if ours["num_blocks"] == 1:
        del wanted["share_weights"]  # of one block there is nothing to share
    for path, value in from_config(theirs, model).items():
        room, name = path.split(".")
        if room == "model":
            wanted[name] = value
    differs = [name for name in wanted if name in ours and ours[name] != wanted[name]]
    unlike = [name for name in differs if name not in model.huggingface.numbers]
    if unlike:
        raise ValueError(_explain(model, ours, {name: wanted[name] for name in unlike}))
    return theirs, differs


def _model_sizes(model: Released) -> dict[str, Field]:
    """The sizes that stand in our `model`, by their name there."""
    found = [field for field in _sizes(model) if field.ours.startswith("model.")]
    return {field.ours.removeprefix("model."): field for field in found}


def _sizes(model: Released) -> list[Field]:
    return [*_SIZES, *model.huggingface.sizes]


def _explain(
    model: Released, ours: Mapping[str, Any], wanted: Mapping[str, Any]
) -> str:
    listed = ", ".join(
        f"{name}={ours[name]} (there: {wanted[name]})" for name in wanted
    )
    flags = " ".join(
        f"--config.model.{name}={shlex.quote(str(wanted[name]))}" for name in wanted
    )
    return (
        f"{model.huggingface.architecture} can't have {listed}. Only {model.config} and"
        f" models that differ from it in {', '.join(_model_sizes(model))} can be "
        f"exported: train with {flags}."
    )


def _convert(field: Field, value: Any) -> Any:
    try:
        return field.to_ours(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field.theirs}={value!r}, which is no size.") from error


def _labels(theirs: Mapping[str, Any]) -> list[str]:
    """The classes in order; transformers takes two where nothing is said."""
    labels = theirs.get("id2label")
    if not labels:
        number = theirs.get("num_labels", 2)
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"num_labels={number!r}, which is no number of classes.")
        return _numbered(number)
    if isinstance(labels, Mapping):
        numbers = [str(i) for i in range(len(labels))]
        if labels.keys() == set(numbers):
            return [str(labels[number]) for number in numbers]
    raise ValueError("id2label must name every class, by '0', '1', '2', ...")


def _numbered(number: int) -> list[str]:
    return [f"LABEL_{i}" for i in range(number)]
