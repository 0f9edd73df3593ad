"""Optical flow: where each pixel of a frame is in the next one."""

import functools
import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments import build
from experiments.checks import check_size
from experiments.optical_flow import data as flow_data
from experiments.optical_flow import model as flow_model
from perceiver_jax.data import loader
from perceiver_jax.data.flow import augmentation, pairs, pictures
from perceiver_jax.data.sources import Example, Source
from perceiver_jax.engine import losses, metrics, sharding
from perceiver_jax.engine.task import Batch, Task
from perceiver_jax.model.adapters import tiling

OUTLIERS = (1, 3, 5)  # pixels of error beyond which a pixel counts as one
MAGNITUDES = ((0, 10), (10, 40), (40, np.inf))  # pixels of motion (Sintel's table)
SHOWN = 4  # pairs in a picture


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/optical_flow.py."""
    data = config.data
    tile = tuple(config.model.image_size)
    check_size("model.image_size", tile)
    phases = flow_data.load_phases(data)
    odd = config.batch_size % (2 * jax.process_count())
    if odd and any(phase.both_ways for phase in phases):
        raise ValueError(
            f"batch_size={config.batch_size} must be even in each process, as "
            "data.phases has pairs both ways."
        )
    held_out = {
        name: flow_data.by_shape(source)
        for name, source in flow_data.load(data, data.held_out, tile).items()
    }

    @functools.cache
    def train():  # not opened where the model is only evaluated
        return flow_data.load(data, data.train, tile)

    def num_examples():
        return sum(map(len, train().values()))

    def train_data(start_step):
        return train_batches(
            train(),
            phases,
            start_step,
            total_steps=build.total_steps(config, num_examples()),
            batch_size=config.batch_size,
            size=tile,
            seed=config.seed,
            num_workers=data.num_workers,
        )

    return Task(
        name="optical_flow",
        num_train_examples=num_examples,
        train_data=train_data,
        eval_data={
            name: functools.partial(eval_batches, parts, config.eval_batch_size)
            for name, parts in held_out.items()
        },
        forward=flow_model.make_forward(
            config.model, sharding.update_axis(config.shard_state)
        ),
        metrics=measure,
        combine=functools.partial(combine, sets=list(held_out)),
        pictures=draw,
        best_metric="score",
        protocol=protocol(config),
    )


def protocol(config: config_dict.ConfigDict) -> dict[str, object]:
    """Returns how large frames are predicted, and what metrics are means over."""
    return {
        "tile": list(config.model.image_size),
        "least_overlap_of_tiles": [*map(tiling.min_overlap, config.model.image_size)],
        "weight_in_a_tile": "distance to its edge",
        "mean": "over the valid pixels of all pairs",
    }


# Data: pair -> {"frames", "flow", "valid", "damaged"} and, where known, "occluded".


def train_batches(
    found: dict[str, Source],
    phases: list[flow_data.Phase],
    start_step: int,
    *,
    total_steps: int,
    batch_size: int,
    size: tuple[int, int],
    seed: int,
    num_workers: int,
) -> Iterator[Batch]:
    """Yields the batches of all phases from a step on, those of the last without end.

    A phase's batches are those that it would have at these steps if it were alone.
    """
    last = phases[-1]
    for phase in phases:
        end = round(phase.until * total_steps)
        if start_step >= end and phase is not last:
            continue
        batches = loader.train_batches(
            flow_data.mixture(found, phase),
            functools.partial(
                prepare, size=size, strength=phase.strength, both_ways=phase.both_ways
            ),
            batch_size // 2 if phase.both_ways else batch_size,
            seed=seed,
            start_step=start_step,
            finish=join_ways if phase.both_ways else None,
            num_workers=num_workers,
            **sharding.this_process(),
        )
        if phase is last:
            yield from batches
        yield from itertools.islice(batches, end - start_step)
        start_step = end


def prepare(
    pair: Example,
    rng: np.random.Generator,
    *,
    size: tuple[int, int],
    strength: float,
    both_ways: bool,
) -> Example:
    """Augments a pair; both_ways gives arrays a leading axis, forward and reversed."""
    part = augmentation.augment(pairs.mask_damage(pair), rng, size, strength)
    ways = [part, pairs.reverse(part)] if both_ways else [part]
    ready = [_ready(way) for way in ways]
    if not both_ways:
        return ready[0]
    return {name: np.stack([way[name] for way in ready]) for name in ready[0]}


def join_ways(batch: loader.Batch, rng: np.random.Generator) -> loader.Batch:
    """Makes one example of each of both ways: [B / 2, 2, ...] to [B, ...]."""
    del rng
    joined = {
        name: x.reshape(-1, *x.shape[2:]) for name, x in batch.items() if name != "mask"
    }
    return {"mask": np.repeat(batch["mask"], 2), **joined}


def eval_batches(parts: list[Source], batch_size: int) -> Iterator[Batch]:
    """Yields every pair once, frames whole."""
    for part in parts:
        yield from loader.eval_batches(
            part,
            lambda pair: _ready(pairs.mask_damage(pair)),
            batch_size,
            **sharding.this_process(),
        )


def _ready(pair: Example) -> Example:
    names = ("flow", "valid", "damaged", "occluded")
    arrays = {name: np.ascontiguousarray(pair[name]) for name in names if name in pair}
    return {"frames": pairs.normalize(pair["frames"]), **arrays}


# Outputs: flow [B, H, W, 2] in pixels -> numbers and pictures.


def measure(flow: jax.Array, batch: Batch) -> metrics.Metrics:
    """Returns metrics of each pixel [B, H, W], weighted by whether its flow is known.

    `epe` is the mean end-point error, which is also the loss, told besides for slow
    and fast pixels and for those that the second frame shows or hides; `fl_all` is
    KITTI's share of pixels that are off by more than 3 pixels and 5%; `damaged` is the
    share of pixels whose flow can't be true, which count nowhere else.
    """
    target = batch["flow"]
    error = losses.end_point_error(flow, target)
    length = losses.end_point_error(target, jnp.zeros_like(target))
    present = jnp.broadcast_to(batch["mask"][:, None, None], error.shape)
    weight = batch["valid"] * present
    found = {"loss": (error, weight), "epe": (error, weight)}
    for pixels in OUTLIERS:
        found[f"outliers_{pixels}px"] = (error > pixels, weight)
    found["fl_all"] = ((error > 3) & (error > 0.05 * length), weight)
    for low, high in MAGNITUDES:
        name = f"epe_s{low}_{high}" if np.isfinite(high) else f"epe_s{low}+"
        found[name] = (error, weight * ((low <= length) & (length < high)))
    if "occluded" in batch:
        found["epe_matched"] = (error, weight * ~batch["occluded"])
        found["epe_unmatched"] = (error, weight * batch["occluded"])
    found["damaged"] = (batch["damaged"].astype(jnp.float32), present)
    return found


def combine(numbers: dict[str, float], *, sets: list[str]) -> dict[str, float]:
    """Returns `score`, larger is better: minus the mean of all sets' error.

    Raises:
      ValueError: a set has no pixel whose flow is known.
    """
    for name in sets:
        if f"{name}/epe" not in numbers:
            raise ValueError(f"No pixel of '{name}' has a known flow: leave it out.")
    return {"score": -float(np.mean([numbers[f"{name}/epe"] for name in sets]))}


def draw(flow: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """Returns a picture of the first pairs, a row each."""
    rows = [
        pictures.panel(*row)
        for row in zip(
            batch["frames"][:SHOWN], batch["flow"], batch["valid"], flow, strict=False
        )
    ]
    return {"flow": np.concatenate(rows)}
