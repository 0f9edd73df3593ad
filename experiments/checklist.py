"""What is about to be trained, and on what: looked at before hours are paid for."""

import math
import pathlib
import shutil

import jax

from perceiver_jax.cluster import processes
from perceiver_jax.engine import sharding, training
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import Update


def checklist(
    task: Task,
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    settings: training.Settings,
    workdir: pathlib.Path,
) -> str:
    """Describes a run that is about to start, a line a thing."""
    devices = jax.devices()
    free = shutil.disk_usage(workdir).free
    versions = processes.library_versions().items()
    lines = {
        "platform": f"{devices[0].platform} ({devices[0].device_kind})",
        "processes": f"{jax.process_count()}, with {len(devices)} devices in all",
        "mesh": parallel.describe(),
        "batch": f"{settings.batch_size}, {update.accumulate} parts in turn",
        "steps": f"{settings.total_steps:,}",
        "data": f"{task.train.num_examples:,} examples to train on; evaluated on "
        + (", ".join(task.evaluations) or "nothing"),
        "memory": _memory(task, update, parallel, settings),
        "workdir": f"{workdir}, can be written, {free / 1e9:.1f} GB free",
        "versions": ", ".join(f"{name} {version}" for name, version in versions),
    }
    return "About to train:\n" + "\n".join(
        f"  {name:10}{what}" for name, what in lines.items()
    )


def _memory(
    task: Task,
    update: Update,
    parallel: sharding.OverMesh | sharding.OverPmap,
    settings: training.Settings,
) -> str:
    """Estimates what a device has to hold."""
    batch = task.model.batch(1)
    state = parallel.abstract_state(lambda: update.init(batch))
    held = sum(map(_bytes, jax.tree.leaves(state)))
    gradients = sum(map(_bytes, jax.tree.leaves(state.params)))
    example = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(batch))
    part = example * settings.batch_size / parallel.batch_parts
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return (
        f"a device holds {(held + gradients) / 1e6:,.4g} MB of parameters, gradients "
        f"and optimizer state, {part / 1e6:,.4g} MB of a batch, and what layers keep"
        + (f"; it has {limit / 1e9:.3g} GB" if limit else "")
    )


def _bytes(x: jax.ShapeDtypeStruct) -> int:
    """Of an array, on one device."""
    shape = x.shape if x.sharding is None else x.sharding.shard_shape(x.shape)
    return math.prod(shape) * x.dtype.itemsize
