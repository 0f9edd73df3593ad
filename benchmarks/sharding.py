"""Ways to share the work of a mesh: do they agree, and what do they hold and move?

    JAX_PLATFORMS=cpu python -m benchmarks.sharding --output=OUT.json

agreement  small models on 8 virtual CPU devices: loss and gradients against one device
memory     Perceiver IO++ (425 million parameters) on a TPU pod, per chip
traffic    the ImageNet encoder with its inputs shared by the chips of a host, for
           images of two sizes

The last two compile real training steps with the TPU's own compiler, minutes each.
"""

import gc
import importlib.metadata
import os
from collections.abc import Iterator

import jax
from absl import flags
from ml_collections import config_dict

from benchmarks import agreement, figures
from configs import imagenet, masked_lm
from experiments import planning, program
from perceiver_jax.engine import sharding
from perceiver_jax.engine.costs import compile_ahead

_PARTS = flags.DEFINE_list("parts", ["agreement", "memory", "traffic"], "What to do.")
_TOPOLOGY = flags.DEFINE_string("topology", "v4:4x4x4", "To compile for.")
_SIDES = flags.DEFINE_list("sides", ["224", "448"], "Of the images of `traffic`.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")

Row = dict[str, object]

WAYS = {
    "replicated": {},
    "fsdp": {"sharding": "fsdp"},
    "tensor, 4 devices": {"sharding": "tensor", "sharding_devices": 4},
    "inputs, 4 devices": {"sharding": "inputs", "sharding_devices": 4},
    "inputs, 8 devices": {"sharding": "inputs", "sharding_devices": 8},
    "pmap": {"compile": "pmap"},
}


def measure_agreement() -> Iterator[Row]:
    """Yields a row for each model and way."""
    sharding.WORTH_SHARDING = 2  # the arrays of small models too
    for case, make in agreement.CASES.items():
        alone = agreement.gradients(make(), devices=1)
        for way, fields in WAYS.items():
            config = make()
            config.update(fields)
            loss, gradient = alone.difference(agreement.gradients(config))
            yield {"model": case, "way": way, "loss": loss, "gradients": gradient}


def measure_memory() -> Iterator[Row]:
    """Yields a row for each way to hold Perceiver IO++."""
    for way in ("replicated", "fsdp", "tensor, 4 devices"):
        config = masked_lm.get_config("bytes_plus_plus")
        config.update(WAYS[way])
        yield {"way": way} | compile_step(config)


def measure_traffic() -> Iterator[Row]:
    """Yields a row for each size of image, whole and with its inputs shared."""
    for side in map(int, _SIDES.value):
        config = imagenet.get_config("fourier")
        config.data.image_size = (side, side)
        config.batch_size = 64
        config.update(WAYS["inputs, 4 devices"])
        yield {"inputs": side**2, "way": "inputs, 4 devices"} | compile_step(config)


def compile_step(config: config_dict.ConfigDict) -> Row:
    """Returns what a chip holds and exchanges in a training step."""
    step = planning.compile_step(config, _TOPOLOGY.value)
    cost = compile_ahead.program_cost(step.executable)
    traffic = compile_ahead.collectives(step.executable)
    return {
        "batch_size": step.batch_size,
        "arguments_bytes": cost.argument_bytes,
        "temporaries_bytes": cost.temp_bytes,
        "flops": round(cost.flops),
        "collectives": {kind: found._asdict() for kind, found in traffic.items()},
        "compile_seconds": round(step.seconds),
    }


def main(_):
    # Before JAX looks for devices.
    flag = "--xla_force_host_platform_device_count=8"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
    # What JAX's cache keeps for a TPU can't be read without one.
    jax.config.update("jax_enable_compilation_cache", False)
    measures = {
        "agreement": measure_agreement,
        "memory": measure_memory,
        "traffic": measure_traffic,
    }
    libtpu = importlib.metadata.version("libtpu")
    found: dict[str, object] = {"topology": _TOPOLOGY.value, "libtpu": libtpu}
    for part in _PARTS.value:
        rows = found[part] = []
        for row in measures[part]():
            print(part, row, flush=True)
            rows.append(row)
            gc.collect()
            if _OUTPUT.value:  # at once: the next may take long
                figures.save(_OUTPUT.value, "benchmarks.sharding", found)


if __name__ == "__main__":
    program.run(main)
