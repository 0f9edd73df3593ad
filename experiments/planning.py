"""What a config's training step costs, without data and without a TPU."""

import dataclasses
import functools
import re
import time

import jax
from ml_collections import config_dict

from experiments import build
from perceiver_jax.engine import sharding
from perceiver_jax.engine.costs import flops


@dataclasses.dataclass(frozen=True)
class CompiledStep:
    """A training step, compiled for a TPU topology; all but flops are of one device."""

    topology: str
    devices: int
    batch_size: int  # over all devices
    flops: int  # over all devices, as `count_flops` has them
    executable: jax.stages.Compiled
    seconds: float  # to compile


def compile_step(config: config_dict.ConfigDict, topology: str) -> CompiledStep:
    """Compiles a config's training step for a TPU topology such as "v5e:8x8".

    Raises:
      ValueError: no such topology, or the batch can't be split over it.
      jax.errors.JaxRuntimeError: it needs more memory than a device has.
    """
    # Its private parts of jaxlib may be missing one day: then only this is.
    from perceiver_jax.engine.costs import compile_ahead

    model = build.make_model(config)
    mesh = compile_ahead.tpu_mesh(topology)
    parallel = build.make_parallel(config, mesh.devices.flatten().tolist())
    if not isinstance(parallel, sharding.OverMesh):
        raise ValueError("compile='pmap' has no plan: with compile='jit' it is alike.")
    sharding.check_batch_size(
        "batch_size", config.batch_size, config.accumulate, parallel
    )
    # The schedule's length is a constant of the program, which costs the same for any.
    update = build.make_update(config, model, config.steps or 100_000)
    batch = parallel.abstract_batch(model.batch(config.batch_size))
    state = parallel.abstract_state(functools.partial(update.init, batch))
    start = time.monotonic()
    step = parallel.compile_update(update)
    executable = step.lower(state, batch).compile()
    return CompiledStep(
        topology=topology,
        devices=mesh.size,
        batch_size=config.batch_size,
        flops=flops.count_flops(step, state, batch),
        executable=executable,
        seconds=time.monotonic() - start,
    )


def why_not(error: Exception) -> str:
    """Says in a line why a step was not compiled; of memory, how much it takes."""
    message = re.sub(r"\s+", " ", str(error)).replace("|", "/")
    if "RESOURCE_EXHAUSTED" not in message:
        return f"not compiled: {message[:300]}"
    # As XLA says it: what it takes, then what there is, in powers of 1,024.
    amounts = re.findall(r"\b\d[\d.]*[KMGT]\b", message)
    return f"no: {' of '.join(amounts[:2]) or message[:300]}"


def compile_for(config: config_dict.ConfigDict, topology: str) -> str:
    """Compiles the training step for a TPU topology and describes its cost.

    The batch is the config's, over all chips; no data and no TPU is needed.
    """
    from perceiver_jax.engine.costs import compile_ahead

    step = compile_step(config, topology)
    traffic = compile_ahead.collectives(step.executable)
    return "\n".join(
        [
            f"{topology}: {step.devices} chips, {step.batch_size} examples a step, "
            f"{step.batch_size / step.devices:g} a chip",
            str(compile_ahead.program_cost(step.executable)),
            *(f"{t.bytes / 1e9:,.3f} GB in {t.times} {k}" for k, t in traffic.items()),
            f"compile time {step.seconds:.1f} s",
        ]
    )
