"""Optical flow: where each pixel of a frame is in the next one."""

from collections.abc import Sequence

from ml_collections import config_dict

from experiments.optical_flow import outputs
from experiments.optical_flow.curriculum import train_pairs
from experiments.optical_flow.data import held_out_pairs
from experiments.optical_flow.model import make_model
from perceiver_jax.engine.task import Evaluation, Task
from perceiver_jax.model.adapters import tiling


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/optical_flow.py."""
    held_out = held_out_pairs(config)
    return Task(
        name="optical_flow",
        model=make_model(config),
        train=train_pairs(config),
        evaluations={
            name: Evaluation(batches=found.batches, pictures=outputs.draw)
            for name, found in held_out.items()
        },
        score=outputs.Score(tuple(held_out)),
        protocol=protocol(config.model.image_size),
    )


def protocol(tile: Sequence[int]) -> dict[str, object]:
    """Returns how large frames are predicted, and what metrics are means over."""
    return {
        "tile": list(tile),
        "least_overlap_of_tiles": [tiling.min_overlap(side) for side in tile],
        "weight_in_a_tile": "distance to its edge",
        "mean": "over the valid pixels of all pairs",
    }
