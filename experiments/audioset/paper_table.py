"""The sizes of our models beside those that the papers print.

Lines of `python -m scripts.paper_tables`.
"""

import types
from collections.abc import Iterator

from experiments import build
from experiments.audioset.model import input_modalities
from perceiver_jax.engine.costs import flops

# Perceiver IO, table 10: variant, millions of parameters, billions of FLOPs.
ROWS: dict[str, tuple[str, float, float]] = {
    "Perceiver, raw": ("small_audio_video", 21.0, 52.3),
    "Perceiver IO, raw": ("io_audio_video", 25.0, 52.9),
    "Perceiver, mel": ("small_mel_video", 21.0, 60.7),
    "Perceiver IO, mel": ("io_mel_video", 88.2, 129.5),
}
# Perceiver, table 3, which prints no sizes.
ROWS_2021 = {
    "raw": "perceiver_audio",
    "mel": "perceiver_mel",
    "video": "perceiver_video",
    "raw + video": "perceiver_audio_video",
    "mel + video": "perceiver_mel_video",
}


def lines(configs: types.ModuleType) -> Iterator[str]:
    """Yields the tables, from the module configs/audioset.py."""
    yield "Perceiver IO, table 10   parameters     paper   GFLOP  with keys   paper"
    for name, (variant, parameters, printed) in ROWS.items():
        size = size_of(configs, variant)
        whole = size.flops + flops_of_keys(configs, variant)
        yield (
            f"{name:22} {size.parameters:12,} {parameters:7} M {size.flops / 1e9:7.1f}"
            f" {whole / 1e9:10.1f} {printed:7}"
        )
    yield "Perceiver, table 3       parameters             GFLOP"
    for name, variant in ROWS_2021.items():
        size = size_of(configs, variant)
        yield f"{name:22} {size.parameters:12,} {'':9} {size.flops / 1e9:7.1f}"


def size_of(configs: types.ModuleType, variant: str) -> flops.Size:
    """Returns the size of a variant."""
    return build.model_size(configs.get_config(variant))


def flops_of_keys(configs: types.ModuleType, variant: str) -> int:
    """Returns FLOPs that papers count and we save, of a model with one cross-attend.

    Keys and values of all inputs are never made: see perceiver_jax/model/kernel.py.
    """
    model = configs.get_config(variant).model
    modalities = input_modalities(model)
    inputs = sum(m.num_elements for m in modalities)
    channels = 4 + max(m.element_channels + m.position_channels for m in modalities)
    return 2 * 2 * (inputs - model.num_latents) * channels**2
