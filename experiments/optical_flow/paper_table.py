"""The sizes of our models beside those that the paper prints (Perceiver IO, table 16).

Lines of `python -m scripts.paper_tables`.
"""

import types
from collections.abc import Iterator, Mapping

from experiments import build
from perceiver_jax.engine.costs import flops

# The rows of configs/optical_flow.py:sweep.
ROWS = (
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
PRINTED = (27.9, 987)
PRINTED_FITS: dict[str, object] = {
    "model.layers_per_block": 16,
    "model.num_latents": 1024,
}


def lines(configs: types.ModuleType) -> Iterator[str]:
    """Yields the table, from the module configs/optical_flow.py."""
    yield "Perceiver IO, table 16           parameters    GFLOP"
    rows = [*zip(ROWS, configs.sweep()), ("what appendix H fits", PRINTED_FITS)]
    for name, changes in rows:
        size = size_of(configs, changes)
        yield f"{name:28} {size.parameters:14,} {size.flops / 1e9:8.1f}"
    yield "{:28} {:12.1f} M {:8.1f}".format("appendix H", *PRINTED)


def size_of(configs: types.ModuleType, changes: Mapping[str, object]) -> flops.Size:
    """Returns the size of changes to `autoflow`, at 368 x 496 pixels."""
    config = configs.get_config("autoflow")
    config.update_from_flattened_dict(changes)
    config.model.query_chunk = 0  # or the latents' keys count once for each chunk
    return build.model_size(config)
