"""Evaluates a checkpoint, with the config that it holds.

    python -m experiments.evaluate --workdir=/tmp/digits
    python -m experiments.evaluate --workdir=/tmp/digits --step=best \
        --config.eval_batch_size=64

--workdir may also name one checkpoint, DIR/checkpoints/STEP, and any field of its
config can be overridden. Prints one line of JSON.
"""

import json
from collections.abc import Sequence
from typing import Any

from experiments import restore
from perceiver_jax.engine.evaluation import Evaluator


def main(restored: restore.Restored, _: Sequence[str] = ()) -> None:
    """Evaluates on all sets of the task."""
    task, forward = restored.make_task()
    found = Evaluator(task, forward, restored.parallel)(restored.variables).metrics
    about: dict[str, Any] = {"checkpoint": str(restored.folder)}
    if task.protocol:
        about["protocol"] = task.protocol
    print(json.dumps(about | found))


if __name__ == "__main__":
    restore.run(main)
