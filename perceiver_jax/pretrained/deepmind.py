"""The parts that the tables of DeepMind's released weights are made of.

    table = [
        *deepmind.linear("image_inputs/pointwise/linear", "image_preprocessor/linear"),
        *deepmind.encoder("perceiver_encoder/~"),
        *deepmind.decoder("classification_decoder/~/basic_decoder"),
    ]
    ours = rules.to_ours(rules.flatten(released_params), table)

A part takes the path of a module here and there. It serves parameters and state.
Modules of a kind are numbered there in the order in which they are called.
"""

from collections.abc import Sequence

from perceiver_jax.pretrained.rules import Rule

_CROSS = ("query_norm", "input_norm", "mlp_norm")  # the norms of a cross-attend
_SELF = ("attention_norm", "mlp_norm")
_NORMS = ("layer_norm", "layer_norm_1", "layer_norm_2")  # the same there


def linear(ours: str, theirs: str) -> list[Rule]:
    """A linear map."""
    return _each(ours, theirs, ("w", "b"))


def norm(ours: str, theirs: str) -> list[Rule]:
    """A layer norm."""
    return _each(ours, theirs, ("scale", "offset"))


def batch_norm(ours: str, theirs: str) -> list[Rule]:
    """A batch norm, with its running averages."""
    average = ("average", "hidden", "counter")
    return [
        *norm(ours, theirs),
        *_each(f"{ours}/~/mean_ema", f"{theirs}/~/mean_ema", average),
        *_each(f"{ours}/~/var_ema", f"{theirs}/~/var_ema", average),
    ]


def cross_attend(ours: str, theirs: str) -> list[Rule]:
    """A cross-attend with its MLP."""
    return _attend(ours, theirs, _CROSS)


def encoder(theirs: str) -> list[Rule]:
    """The encoder and the processor, which are one module there."""
    return [
        Rule("encoder/latents", f"{theirs}/trainable_position_encoding/pos_embs"),
        *cross_attend("encoder/cross_attention", f"{theirs}/cross_attention"),
        *_attend(
            "processor/block/layers/self_attention",
            theirs + "/self_attention{_layer}",
            _SELF,
        ),
    ]


def decoder(theirs: str) -> list[Rule]:
    """The decoder with its output layer; its queries are a task's own."""
    return [
        *cross_attend("decoder/cross_attention", f"{theirs}/cross_attention"),
        *linear("decoder/output", f"{theirs}/output"),
    ]


def _each(ours: str, theirs: str, names: Sequence[str]) -> list[Rule]:
    return [Rule(f"{ours}/{n}", f"{theirs}/{n}") for n in names]


def _attend(ours: str, theirs: str, norms: Sequence[str]) -> list[Rule]:
    return [
        *linear(f"{ours}/attention/query", f"{theirs}/attention/linear"),
        *linear(f"{ours}/attention/key", f"{theirs}/attention/linear_1"),
        *linear(f"{ours}/attention/value", f"{theirs}/attention/linear_2"),
        *linear(f"{ours}/attention/output", f"{theirs}/attention/linear_3"),
        *linear(f"{ours}/mlp/hidden", f"{theirs}/mlp/linear"),
        *linear(f"{ours}/mlp/output", f"{theirs}/mlp/linear_1"),
        *(
            rule
            for our_norm, their_norm in zip(norms, _NORMS)
            for rule in norm(f"{ours}/{our_norm}", f"{theirs}/{their_norm}")
        ),
    ]
