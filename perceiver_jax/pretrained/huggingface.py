"""The parts that the tables of Hugging Face's Perceiver models are made of.

    table = [
        *huggingface.encoder(),
        *huggingface.decoder("perceiver.decoder.decoder"),
    ]
    ours = huggingface.from_arrays(state_dict, table)

A part takes the path of a module here and there.
"""

from collections.abc import Sequence

import numpy as np

from perceiver_jax.pretrained.rules import (
    TRANSPOSED,
    Arrays,
    Form,
    Rule,
    to_ours,
    to_theirs,
)

INPUTS = "perceiver.input_preprocessor"
QUERIES = "output_position_encodings.position_embeddings"

_CHANNELS = Form(lambda x: x[None, None, None], lambda x: x[0, 0, 0])
_COUNT = Form(lambda x: np.asarray(x, np.int32), lambda x: np.asarray(x, np.int64))
_MEAN, _VARIANCE = "/~/mean_ema", "/~/var_ema"
_DECAY = 0.9  # of our BatchNorm's averages


def linear(ours: str, theirs: str) -> list[Rule]:
    """A linear map."""
    return [
        Rule(f"{ours}/w", f"{theirs}.weight", TRANSPOSED),
        Rule(f"{ours}/b", f"{theirs}.bias"),
    ]


def norm(ours: str, theirs: str) -> list[Rule]:
    """A layer norm."""
    return [
        Rule(f"{ours}/scale", f"{theirs}.weight"),
        Rule(f"{ours}/offset", f"{theirs}.bias"),
    ]


def batch_norm(ours: str, theirs: str) -> list[Rule]:
    """A batch norm with its running averages, which `from_arrays` completes."""
    return [
        Rule(f"{ours}/scale", f"{theirs}.weight", _CHANNELS),
        Rule(f"{ours}/offset", f"{theirs}.bias", _CHANNELS),
        Rule(f"{ours}{_MEAN}/average", f"{theirs}.running_mean", _CHANNELS),
        Rule(f"{ours}{_VARIANCE}/average", f"{theirs}.running_var", _CHANNELS),
        Rule(f"{ours}{_MEAN}/counter", f"{theirs}.num_batches_tracked", _COUNT),
    ]


def cross_attend(ours: str, theirs: str) -> list[Rule]:
    """A cross-attend with its MLP."""
    return _attend(ours, theirs, ("query_norm", "input_norm", "mlp_norm"))


def encoder() -> list[Rule]:
    """The encoder and the processor."""
    return [
        Rule("encoder/latents", "perceiver.embeddings.latents"),
        *cross_attend("encoder/cross_attention", "perceiver.encoder.cross_attention"),
        *_attend(
            "processor/block/layers/self_attention",
            "perceiver.encoder.self_attends.{layer}",
            ("attention_norm", "mlp_norm"),
        ),
    ]


def decoder(theirs: str) -> list[Rule]:
    """The decoder with its output layer; its queries are a task's own."""
    return [
        *cross_attend("decoder/cross_attention", f"{theirs}.decoding_cross_attention"),
        *linear("decoder/output", f"{theirs}.final_layer"),
    ]


def _attend(ours: str, theirs: str, norms: Sequence[str]) -> list[Rule]:
    *before, last = norms
    return [
        *linear(f"{ours}/attention/query", f"{theirs}.attention.self.query"),
        *linear(f"{ours}/attention/key", f"{theirs}.attention.self.key"),
        *linear(f"{ours}/attention/value", f"{theirs}.attention.self.value"),
        *linear(f"{ours}/attention/output", f"{theirs}.attention.output.dense"),
        *linear(f"{ours}/mlp/hidden", f"{theirs}.mlp.dense1"),
        *linear(f"{ours}/mlp/output", f"{theirs}.mlp.dense2"),
        *norm(f"{ours}/{last}", f"{theirs}.layernorm"),
        *(
            rule
            for number, name in enumerate(before, 1)
            for rule in norm(
                f"{ours}/{name}", f"{theirs}.attention.self.layernorm{number}"
            )
        ),
    ]


def from_arrays(theirs: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """Returns a state dict's arrays by our paths, with BatchNorm's state complete.

    Raises:
      ValueError: as rules.to_ours.
    """
    ours = to_ours(theirs, rules)
    for module in _batch_norms(ours):
        batches = ours.get(f"{module}{_MEAN}/counter", np.asarray(0, np.int32))
        # Haiku divides a running sum by the sum of its weights to have the average.
        weight = np.float32(1 - _DECAY ** int(batches))
        for average in (_MEAN, _VARIANCE):
            path = f"{module}{average}"
            ours[f"{path}/hidden"] = ours[f"{path}/average"] * weight
            ours[f"{path}/counter"] = batches
    return ours


def to_arrays(ours: Arrays, rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """The inverse of `from_arrays`."""
    ours = dict(ours)
    for module in _batch_norms(ours):
        for path in (f"{_MEAN}/hidden", f"{_VARIANCE}/hidden", f"{_VARIANCE}/counter"):
            ours.pop(f"{module}{path}", None)
    return to_theirs(ours, rules)


def _batch_norms(ours: Arrays) -> list[str]:
    """The modules that have running averages."""
    end = f"{_MEAN}/average"
    return [path.removesuffix(end) for path in ours if path.endswith(end)]
