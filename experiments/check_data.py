"""Reads all data of a config once, as training and evaluation would, without a model.

    python -m experiments.check_data --config=configs/imagenet.py:fourier \
        --config.data.dir=DATA

Names every example that is corrupt, and says how fast batches come. Training data is
read for about one epoch: batches are shuffled, and the last may begin the next epoch.
"""

import logging
import sys
import time
from collections.abc import Iterable, Sequence

import numpy as np
from absl import app, flags
from ml_collections import config_dict, config_flags

from experiments import build, program
from perceiver_jax.data import loader, sources
from perceiver_jax.engine import writer
from perceiver_jax.engine.task import Batch

_CONFIG = config_flags.DEFINE_config_file("config", help_string="FILE or FILE:VARIANT.")


class Counter(logging.Handler):
    """Counts the warnings that are logged: each names an example."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Takes note of one record."""
        self.count += record.levelno >= logging.WARNING


def check(config: config_dict.ConfigDict) -> int:
    """Reads everything, prints a line for each set, and returns how much is corrupt."""
    counter = Counter()
    for module in (sources, loader):  # those that meet a corrupt example
        logging.getLogger(module.__name__).addHandler(counter)
    for field, value in (("max_corrupt", sys.maxsize), ("num_workers", 0)):
        if field in config.data:  # all are wanted, and counted in this process
            config.data[field] = value
    task = build.make_task(config)
    size, examples = config.batch_size, task.train.num_examples
    steps = -(-examples // size)
    batches = task.train.batches(0, build.total_steps(config, examples))
    read("train", (next(batches) for _ in range(steps)), counter)
    for name, evaluation in task.evaluations.items():
        read(name, evaluation.batches(), counter)
    return counter.count


def read(name: str, batches: Iterable[Batch], counter: Counter) -> None:
    """Reads one set and prints how it went."""
    before, start, examples = counter.count, time.monotonic(), 0
    for batch in batches:
        examples += int(np.sum(batch["mask"] > 0))
    seconds = time.monotonic() - start
    print(
        f"{name}: {examples:,} examples in {seconds:.1f} s, "
        f"{counter.count - before} corrupt",
        flush=True,
    )


def main(_: Sequence[str]) -> None:
    if _CONFIG.value is None:
        raise app.UsageError("--config=FILE is missing, such as configs/digits.py.")
    writer.log_to_console()
    build.choose_length(
        _CONFIG.value, config_flags.get_override_values(flags.FLAGS["config"])
    )
    if count := check(_CONFIG.value):
        raise ValueError(f"{count} examples are corrupt: named above.")


if __name__ == "__main__":
    program.run(main)
