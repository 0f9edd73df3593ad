"""Evaluates a checkpoint, with the config that it holds.

    python -m experiments.evaluate --workdir=/tmp/digits
    python -m experiments.evaluate --workdir=/tmp/digits --step=best \
        --config.eval_batch_size=64

--workdir may also name one checkpoint, DIR/checkpoints/STEP, and any field of its
config can be overridden. Prints one line of JSON.
"""

import json
from collections.abc import Sequence

from experiments import restore
from perceiver_jax import evaluation


def main(restored: restore.Restored, arguments: Sequence[str]) -> None:
    """Evaluates on all sets of the task."""
    restore.no_arguments(arguments)
    evaluate = evaluation.make_evaluate(*restored.make_task(), restored.parallel)
    found = evaluate(restored.variables).metrics
    print(json.dumps({"checkpoint": str(restored.folder), **found}))


if __name__ == "__main__":
    restore.run(main)
