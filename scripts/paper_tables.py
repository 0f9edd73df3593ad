"""The sizes of our models beside those that the papers print.

    python -m scripts.paper_tables

A multiply and an add are two FLOPs, as in the papers; the count is of all matrix
products in the forward pass of one example.
"""

import functools
from typing import Any

import haiku as hk
import jax
import numpy as np
from absl import app

from configs import masked_lm
from experiments import text_model
from perceiver_jax import cost
from perceiver_jax.task import Batch

# Perceiver IO, table 1: variant, millions of parameters, billions of FLOPs.
LANGUAGE: dict[str, tuple[str, int, int]] = {
    "BERT Base (test)": ("bert_base", 110, 109),
    "BERT Base (ours)": ("bert_base", 110, 109),
    "Perceiver IO Base": ("sentencepiece", 223, 119),
    "BERT (matching FLOPs)": ("bert_bytes", 20, 130),
    "Perceiver IO": ("bytes", 201, 113),
    "Perceiver IO++": ("bytes_plus_plus", 425, 241),
}


def language_cost(variant: str) -> tuple[int, int, int]:
    """Returns a variant's parameters, FLOPs, and FLOPs of the logits alone."""
    config = masked_lm.get_config(variant)
    size = (1, config.data.length)
    batch = {
        "tokens": jax.ShapeDtypeStruct(size, np.int32),
        "token_mask": jax.ShapeDtypeStruct(size, bool),
    }
    model = config.model
    logits = 2 * config.data.length * model.input_channels * model.vocab_size
    return *count(text_model.make_forward(model), batch), logits


def count(make: Any, batch: Batch) -> tuple[int, int]:
    """Returns a Haiku function's parameters, and its FLOPs on a batch of shapes."""
    forward = hk.transform(functools.partial(make, is_training=False))
    params = jax.eval_shape(forward.init, jax.random.key(0), batch)
    flops = cost.count_flops(
        lambda params, batch: forward.apply(params, None, batch), params, batch
    )
    return sum(x.size for x in jax.tree.leaves(params)), flops


def main(_) -> None:
    print("Perceiver IO, table 1        parameters      paper   GFLOP  paper  logits")
    for name, (variant, parameters, flops) in LANGUAGE.items():
        found, found_flops, logits = language_cost(variant)
        print(
            f"{name:24} {found:14,} {parameters:8,} M {found_flops / 1e9:7.1f} "
            f"{flops:6} {logits / 1e9:7.1f}"
        )


if __name__ == "__main__":
    app.run(main)
