"""The sizes of our models beside those that the paper prints (Perceiver IO, table 1).

Lines of `python -m scripts.paper_tables`.
"""

import types
from collections.abc import Iterator

from ml_collections import config_dict

from experiments import build

# Variant, millions of parameters, billions of FLOPs.
ROWS: dict[str, tuple[str, int, int]] = {
    "BERT Base (test)": ("bert_base", 110, 109),
    "BERT Base (ours)": ("bert_base", 110, 109),
    "Perceiver IO Base": ("sentencepiece", 223, 119),
    "BERT (matching FLOPs)": ("bert_bytes", 20, 130),
    "Perceiver IO": ("bytes", 201, 113),
    "Perceiver IO++": ("bytes_plus_plus", 425, 241),
}


def lines(configs: types.ModuleType) -> Iterator[str]:
    """Yields the table, from the module configs/masked_lm.py."""
    yield "Perceiver IO, table 1        parameters      paper   GFLOP  paper  logits"
    for name, (variant, parameters, printed) in ROWS.items():
        config = configs.get_config(variant)
        size = build.model_size(config)
        yield (
            f"{name:24} {size.parameters:14,} {parameters:8,} M {size.flops / 1e9:7.1f}"
            f" {printed:6} {flops_of_logits(config) / 1e9:7.1f}"
        )


def flops_of_logits(config: config_dict.ConfigDict) -> int:
    """Returns the FLOPs of the logits alone, for one example."""
    model = config.model
    return 2 * config.data.length * model.input_channels * model.vocab_size
