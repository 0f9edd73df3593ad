"""Memory and traffic of the main variants' training steps, compiled for a TPU pod.

    JAX_PLATFORMS=cpu python -m benchmarks.costs

What benchmarks/results/ledger.json has of all variants can be counted in a second;
bytes take a compilation each, of minutes. A variant is written to the file as soon as
it is known, and the others there are kept.
"""

import importlib.metadata
import json
import pathlib

import jax
from absl import flags

from benchmarks import figures
from experiments import planning, program
from perceiver_jax.engine.costs import compile_ahead
from scripts import ledger

_VARIANTS = flags.DEFINE_list(
    "variants",
    [
        *("imagenet:fourier", "imagenet:conv", "masked_lm:bytes"),
        *("masked_lm:bytes_plus_plus", "optical_flow:autoflow", "optical_flow:light"),
    ],
    "FILE:VARIANT of configs.",
)
_TOPOLOGY = flags.DEFINE_string("topology", "v4:4x4x4", "To compile for.")
_OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/costs_tpu.json", "JSON file for the figures."
)


def measure(name: str) -> dict[str, object]:
    """Returns what one device holds and moves in a step of a variant."""
    step = planning.compile_step(ledger.get_config(name), _TOPOLOGY.value)
    cost = compile_ahead.program_cost(step.executable)
    traffic = compile_ahead.collectives(step.executable)
    return {
        "batch_size": step.batch_size,
        "arguments_bytes": cost.argument_bytes,
        "temporaries_bytes": cost.temp_bytes,
        "accessed_bytes": round(cost.bytes_accessed),
        "flops": round(cost.flops),
        "collectives_bytes": {kind: found.bytes for kind, found in traffic.items()},
        "compile_seconds": round(step.seconds),
    }


def main(_):
    # What JAX's cache keeps for a TPU can't be read without one.
    jax.config.update("jax_enable_compilation_cache", False)
    path = pathlib.Path(_OUTPUT.value)
    found = json.loads(path.read_text())["variants"] if path.exists() else {}
    for name in _VARIANTS.value:
        key = f"{name} on {_TOPOLOGY.value}"
        found[key] = measure(name)
        print(json.dumps({key: found[key]}), flush=True)
        libtpu = importlib.metadata.version("libtpu")
        values = {"libtpu": libtpu, "variants": dict(sorted(found.items()))}
        figures.save(_OUTPUT.value, "benchmarks.costs", values)


if __name__ == "__main__":
    program.run(main)
