r"""What a training run will need and cost on TPUs, without data and without a TPU.

    python -m scripts.plan --config=configs/imagenet.py:fourier
    python -m scripts.plan --config=configs/imagenet.py:fourier \
        --topologies=v4:4x4x4,v5e:8x8,v5p:2x2x4 --batch=512,1024 \
        --examples=1281167 --dollars_per_chip_hour=v4=3.22,v5e=1.2 --output=plan.md

The real training step is compiled for each topology and batch, by the TPU's own
compiler (libtpu, of the extra "tpu"); a row each, printed as it is done. Figures are of
one device and one step. Fields of the config are changed as for training.

A step takes what its FLOPs take at --utilisation of the chip's peak, or what its bytes
take at the memory's full speed, whichever is more. Exchange between devices,
evaluation, saving and waiting for data come on top. A whole run is `steps`; where the
config says `epochs` it takes --examples, else the row is of 1,000 steps. Prices change,
so they are given.
"""

import copy
import datetime
import importlib.metadata
import itertools
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence

import jax
from absl import app, flags
from ml_collections import config_dict, config_flags

from experiments import build, planning, program
from perceiver_jax.engine.costs import chips, compile_ahead

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE or FILE:VARIANT, such as configs/imagenet.py:fourier."
)
_TOPOLOGIES = flags.DEFINE_list(
    "topologies", ["v4:4x4x4", "v5e:8x8", "v6e:8x8"], "Generation and shape, in chips."
)
_BATCH = flags.DEFINE_list("batch", [], "Examples a step; else the config's.")
_UTILISATION = flags.DEFINE_float(
    "utilisation", 0.4, "Share of the peak FLOPs that is reached.", 0.01, 1.0
)
_EXAMPLES = flags.DEFINE_integer(
    "examples", None, "Examples that there are to train on, for a run of `epochs`.", 1
)
_DOLLARS = flags.DEFINE_list(
    "dollars_per_chip_hour", [], "GENERATION=DOLLARS of one chip: v4=3.22,v5e=1.2."
)
_OUTPUT = flags.DEFINE_string("output", None, "Markdown file for the table.")

COLUMNS = (
    *("topology", "batch", "a device", "fits", "arguments", "temporaries", "in all"),
    *("FLOP", "accessed", "collectives", "steps/s", "bound by", "hours", "dollars"),
)


def plan(
    config: config_dict.ConfigDict, topology: str, total_steps: int, price: float | None
) -> tuple[str, ...]:
    """Returns the row of one compilation; what went wrong, where it did."""
    start = (topology, f"{config.batch_size:,}")
    try:
        chip = chips.find(topology)
        step = planning.compile_step(config, topology)
    except program.EXPECTED as error:
        return *start, "", planning.why_not(error), *[""] * (len(COLUMNS) - 4)
    cost = compile_ahead.program_cost(step.executable)
    traffic = compile_ahead.collectives(step.executable)
    # XLA does not see into kernels; our count has no elementwise work.
    device_flops = max(cost.flops, step.flops / step.devices)
    time = chip.step_time(device_flops, cost.bytes_accessed, _UTILISATION.value)
    hours = (total_steps or 1000) * time.seconds / 3600
    dollars = (price or 0) * hours * step.devices / chip.devices
    per = "" if total_steps else " / 1,000 steps"
    return (
        *start,
        f"{config.batch_size / step.devices:g}",
        f"yes, {cost.total_bytes * chip.devices / chip.memory:.0%}",
        _amount(cost.argument_bytes) + "B",
        _amount(cost.temp_bytes) + "B",
        _amount(cost.total_bytes) + "B",
        _amount(device_flops),
        _amount(cost.bytes_accessed) + "B",
        ", ".join(f"{t.times} {k}: {_amount(t.bytes)}B" for k, t in traffic.items()),
        f"{1 / time.seconds:,.3g}",
        time.bound,
        f"{hours:,.3g}{per}",
        f"{dollars:,.0f}{per}" if price else "",
    )


def _amount(number: float) -> str:
    """Writes a number with a decimal prefix: 3.92 G."""
    for prefix, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= unit:
            return f"{number / unit:,.3g} {prefix}"
    return f"{number:.0f} "


def _prices(pairs: Sequence[str]) -> dict[str, float]:
    """Returns {generation: dollars}."""
    found = {}
    for pair in pairs:
        generation, _, dollars = pair.partition("=")
        chips.find(generation)
        try:
            found[generation] = float(dollars)
        except ValueError:
            raise app.UsageError(
                f"--dollars_per_chip_hour: '{pair}' should be like v5e=1.2."
            ) from None
    return found


def _batches(config: config_dict.ConfigDict) -> list[int]:
    if not all(size.isdecimal() for size in _BATCH.value):
        raise app.UsageError(f"--batch={','.join(_BATCH.value)}: whole numbers only.")
    return [int(size) for size in _BATCH.value] or [config.batch_size]


def lines(config: config_dict.ConfigDict) -> Iterator[str]:
    """Yields the lines of the report, each row as soon as it is known."""
    prices, batches = _prices(_DOLLARS.value), _batches(config)
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in ("jax", "libtpu")
    ]
    command = shlex.join(["python", "-m", "scripts.plan", *sys.argv[1:]])
    yield f"`{command}`\n"
    yield f"{datetime.date.today()}, {', '.join(versions)}.\n"
    columns = len(COLUMNS) if prices else len(COLUMNS) - 1  # dollars come last
    yield f"| {' | '.join(COLUMNS[:columns])} |"
    yield "|" + "---|" * columns
    for batch_size, topology in itertools.product(batches, _TOPOLOGIES.value):
        point = copy.deepcopy(config)
        point.batch_size = batch_size
        length = 0
        if config.steps or _EXAMPLES.value:
            length = build.total_steps(point, _EXAMPLES.value or 0)
        price = prices.get(topology.partition(":")[0])
        row = plan(point, topology, length, price)
        yield f"| {' | '.join(row[:columns])} |"


def main(_: Sequence[str]) -> None:
    config = _CONFIG.value
    if config is None:
        raise app.UsageError("--config=FILE is missing, such as configs/digits.py.")
    build.choose_length(config, config_flags.get_override_values(flags.FLAGS["config"]))
    build.check(config)
    # What JAX's cache keeps for a TPU can't be read without one.
    jax.config.update("jax_enable_compilation_cache", False)
    told: list[str] = []
    for line in lines(config):
        print(line, flush=True)
        told.append(line)
        if _OUTPUT.value:  # at once: a later row may take long
            pathlib.Path(_OUTPUT.value).write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    program.run(main)
