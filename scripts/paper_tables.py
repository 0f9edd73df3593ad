"""The sizes of our models beside those that the papers print.

    python -m scripts.paper_tables

A multiply and an add are two FLOPs, as in the papers; the count is of all matrix
products in the forward pass of one example.
"""

import functools
from collections.abc import Mapping
from typing import Any

import haiku as hk
import jax
import numpy as np
from absl import app

from configs import masked_lm, optical_flow
from experiments.masked_lm import model as text_model
from experiments.optical_flow import model as flow_model
from perceiver_jax.engine import flops
from perceiver_jax.engine.task import Batch

# Perceiver IO, table 1: variant, millions of parameters, billions of FLOPs.
LANGUAGE: dict[str, tuple[str, int, int]] = {
    "BERT Base (test)": ("bert_base", 110, 109),
    "BERT Base (ours)": ("bert_base", 110, 109),
    "Perceiver IO Base": ("sentencepiece", 223, 119),
    "BERT (matching FLOPs)": ("bert_bytes", 20, 130),
    "Perceiver IO": ("bytes", 201, 113),
    "Perceiver IO++": ("bytes_plus_plus", 425, 241),
}


# Perceiver IO, table 16: the rows of configs/optical_flow.py:sweep.
FLOW = (
    "3x3 patches of both frames",
    "3x3 patches, frames apart",
    "pixels of both frames",
    "pixels, frames apart",
    "convolution, both frames",
    "convolution, frames apart",
    "... 16 layers, 1,024 latents",
)
# Appendix H prints millions of parameters and billions of FLOPs of "the pixel/patch
# model" that no row has.
FLOW_PRINTED = (27.9, 987)
FLOW_PRINTED_FITS: dict[str, object] = {
    "model.layers_per_block": 16,
    "model.num_latents": 1024,
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


def flow_cost(changes: Mapping[str, object]) -> tuple[int, int]:
    """Returns parameters and FLOPs of changes to `autoflow`, at 368 x 496 pixels."""
    config = optical_flow.get_config("autoflow")
    config.update_from_flattened_dict(changes)
    config.model.query_chunk = 0  # or the latents' keys count once for each chunk
    size = (1, 2, *config.model.image_size, 3)
    batch = {"frames": jax.ShapeDtypeStruct(size, np.float32)}
    return count(flow_model.make_forward(config.model), batch)


def count(make: Any, batch: Batch) -> tuple[int, int]:
    """Returns a Haiku function's parameters, and its FLOPs on a batch of shapes."""
    forward = hk.transform_with_state(make)
    init = functools.partial(forward.init, is_training=True)
    params, state = jax.eval_shape(init, jax.random.key(0), batch)
    products = flops.count_flops(
        lambda *args: forward.apply(*args, is_training=False)[0],
        *(params, state, None, batch),
    )
    return sum(x.size for x in jax.tree.leaves(params)), products


def main(_) -> None:
    print("Perceiver IO, table 1        parameters      paper   GFLOP  paper  logits")
    for name, (variant, parameters, printed) in LANGUAGE.items():
        found, found_flops, logits = language_cost(variant)
        print(
            f"{name:24} {found:14,} {parameters:8,} M {found_flops / 1e9:7.1f} "
            f"{printed:6} {logits / 1e9:7.1f}"
        )
    print("\nPerceiver IO, table 16           parameters    GFLOP")
    rows = [
        *zip(FLOW, optical_flow.sweep()),
        ("what appendix H fits", FLOW_PRINTED_FITS),
    ]
    for name, changes in rows:
        found, found_flops = flow_cost(changes)
        print(f"{name:28} {found:14,} {found_flops / 1e9:8.1f}")
    print("{:28} {:12.1f} M {:8.1f}".format("appendix H", *FLOW_PRINTED))


if __name__ == "__main__":
    app.run(main)
