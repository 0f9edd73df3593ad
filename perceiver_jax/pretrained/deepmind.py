"""Weights that DeepMind released with Perceiver IO, to our names and back.

Parameters and state are trees {module: {name: array}} on both sides. A table of `Rule`s
says which array is which; the same table serves parameters and state:

    params = to_ours(released_params, IMAGENET)
    state = to_ours(released_state, IMAGENET)
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Tree = Mapping[str, Mapping[str, Any]]


class Rule(NamedTuple):
    """One array's path, "module/name", here and there."""

    ours: str
    # LAYER stands where the released files number the layers that we stack.
    released: str
    unit_axes: int = 0  # leading axes of length 1 that only the released array has


LAYER = "{layer}"

_LINEAR = ("w", "b")
_NORM = ("scale", "offset")
_AVERAGE = ("average", "hidden", "counter")
_CROSS = ("query_norm", "input_norm", "mlp_norm")  # the norms of a cross-attend
_SELF = ("attention_norm", "mlp_norm")


def _each(ours: str, released: str, names: Sequence[str], **options) -> list[Rule]:
    return [Rule(f"{ours}/{n}", f"{released}/{n}", **options) for n in names]


def _block(ours: str, released: str, norms: Sequence[str]) -> list[Rule]:
    # There, modules of a kind are numbered in the order in which they are called.
    parts = [
        ("attention/query", "attention/linear", _LINEAR),
        ("attention/key", "attention/linear_1", _LINEAR),
        ("attention/value", "attention/linear_2", _LINEAR),
        ("attention/output", "attention/linear_3", _LINEAR),
        ("mlp/hidden", "mlp/linear", _LINEAR),
        ("mlp/output", "mlp/linear_1", _LINEAR),
    ]
    for number, norm in enumerate(norms):
        parts.append((norm, f"layer_norm_{number}" if number else "layer_norm", _NORM))
    return [
        rule
        for our_part, released_part, names in parts
        for rule in _each(f"{ours}/{our_part}", f"{released}/{released_part}", names)
    ]


def _encoder(released: str) -> list[Rule]:
    """The encoder and the processor, which are one module there."""
    return [
        Rule("encoder/latents", f"{released}/trainable_position_encoding/pos_embs"),
        *_block("encoder/cross_attention", f"{released}/cross_attention", _CROSS),
        *_block(
            "processor/block/layers/self_attention",
            f"{released}/self_attention{LAYER}",
            _SELF,
        ),
    ]


def _batch_norm(ours: str, released: str) -> list[Rule]:
    return [
        *_each(ours, released, _NORM),
        *_each(f"{ours}/~/mean_ema", f"{released}/~/mean_ema", _AVERAGE),
        *_each(f"{ours}/~/var_ema", f"{released}/~/var_ema", _AVERAGE),
    ]


_PIXELS = "image_preprocessor/~"
_PIXEL_POSITIONS = "image_preprocessor/~_build_network_inputs"
_CLASSIFIER = "classification_decoder/~/basic_decoder"

# The three ImageNet models; each has some of the inputs' arrays.
IMAGENET: list[Rule] = [
    *_each("image_inputs/pointwise/linear", f"{_PIXELS}/conv2_d", ["w"], unit_axes=2),
    *_each("image_inputs/pointwise/linear", f"{_PIXELS}/conv2_d", ["b"]),
    Rule(
        "image_inputs/learned_position/table",
        f"{_PIXEL_POSITIONS}/trainable_position_encoding/pos_embs",
    ),
    *_each(
        "image_inputs/learned_position/projection",
        f"{_PIXEL_POSITIONS}/position_encoding_projector/linear",
        _LINEAR,
    ),
    *_each(
        "image_inputs/conv_stem/conv", f"{_PIXELS}/conv2_d_downsample/~/conv", ["w"]
    ),
    *_batch_norm(
        "image_inputs/conv_stem/batch_norm",
        f"{_PIXELS}/conv2_d_downsample/~/batchnorm",
    ),
    *_encoder("perceiver_encoder/~"),
    Rule(
        "learned_queries/queries",
        f"{_CLASSIFIER}/~/trainable_position_encoding/pos_embs",
    ),
    *_block("decoder/cross_attention", f"{_CLASSIFIER}/cross_attention", _CROSS),
    *_each("decoder/output", f"{_CLASSIFIER}/output", _LINEAR),
]


def to_ours(released: Tree, rules: Sequence[Rule]) -> dict[str, dict[str, np.ndarray]]:
    """Returns released parameters or state in our names, with layers stacked.

    Raises:
      ValueError: an array that no rule names, or a shape that its rule does not expect.
    """
    left = _flatten(released)
    ours = {}
    for rule in rules:
        arrays: list[np.ndarray] = []
        while (path := _released_path(rule, len(arrays))) in left:
            arrays.append(_drop_unit_axes(left.pop(path), rule))
        if arrays:
            ours[rule.ours] = np.stack(arrays) if LAYER in rule.released else arrays[0]
    return _unflatten(ours, left)


def to_released(ours: Tree, rules: Sequence[Rule]) -> dict[str, dict[str, np.ndarray]]:
    """The inverse of `to_ours`."""
    left = _flatten(ours)
    released = {}
    for rule in rules:
        if rule.ours not in left:
            continue
        array = left.pop(rule.ours)
        for number, layer in enumerate(array if LAYER in rule.released else [array]):
            path = _released_path(rule, number)
            released[path] = layer.reshape((1,) * rule.unit_axes + layer.shape)
    return _unflatten(released, left)


def _released_path(rule: Rule, layer: int) -> str:
    return rule.released.replace(LAYER, f"_{layer}" if layer else "")


def _drop_unit_axes(array: np.ndarray, rule: Rule) -> np.ndarray:
    unit, rest = array.shape[: rule.unit_axes], array.shape[rule.unit_axes :]
    if set(unit) - {1}:
        raise ValueError(f"{rule.released} has shape {array.shape}: not one position.")
    return array.reshape(rest)


def _flatten(tree: Tree) -> dict[str, np.ndarray]:
    return {
        f"{module}/{name}": np.asarray(array)
        for module, arrays in tree.items()
        for name, array in arrays.items()
    }


def _unflatten(
    flat: dict[str, np.ndarray], left: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    if left:
        raise ValueError(f"No rule for {', '.join(sorted(left))}.")
    tree: dict[str, dict[str, np.ndarray]] = {}
    for path, array in flat.items():
        module, name = path.rsplit("/", 1)
        tree.setdefault(module, {})[name] = array
    return tree
