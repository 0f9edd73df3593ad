"""The sizes of our models beside those that the paper prints (tables 4 and 17).

Lines of `python -m scripts.paper_tables`.
"""

import types
from collections.abc import Iterator

from experiments import build
from perceiver_jax.engine.costs import flops

# Table 17: parameters in millions, and billions of FLOPs in training and evaluation.
PRINTED = (20.0, 310, 6850)
# The rows of configs/video_autoencoding.py:sweep.
ROWS = ("784 latents, 88x", "392 latents, 176x", "196 latents, 352x")


def lines(configs: types.ModuleType) -> Iterator[str]:
    """Yields the table, from the module configs/video_autoencoding.py."""
    yield "Perceiver IO, table 4            parameters    GFLOP, 512 points    all"
    for name, latents in zip(ROWS, configs.sweep()):
        training, evaluation = sizes_of(configs, latents)
        yield (
            f"{name:28} {training.parameters:14,} {training.flops / 1e9:15.1f} "
            f"{evaluation.flops / 1e9:10.1f}"
        )
    yield "{:28} {:12.1f} M {:15.1f} {:10.1f}".format("table 17", *PRINTED)


def sizes_of(
    configs: types.ModuleType, changes: dict[str, object]
) -> tuple[flops.Size, flops.Size]:
    """Returns the size of changes to `kinetics` in training and in evaluation."""
    config = configs.get_config("kinetics")
    config.update_from_flattened_dict(changes)
    config.model.query_chunk = 0  # or the latents' keys count once for each chunk
    training = build.model_size(config)
    config.data.points.audio = config.data.points.video = 0
    return training, build.model_size(config)
