r"""Writes a model's predictions of GLUE's test sets in the format of its server.

    python -m experiments.glue.submission --workdir=DIR --step=best --out=submission

Once for each single-task run, with the same --out; a multitask run writes the files of
all tasks. A submission is a zip archive of them, with WNLI.tsv and AX.tsv besides.
"""

import dataclasses
from collections.abc import Sequence

from absl import app, flags

from experiments import restore
from experiments.glue import data as text_tasks
from experiments.glue import task as experiment
from perceiver_jax.data.text import glue, glue_data
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.forward import make_forward, parse_policy

_OUT = flags.DEFINE_string("out", None, "Folder to write the files in.", required=True)


def main(restored: restore.Restored, arguments: Sequence[str]) -> None:
    restore.no_arguments(arguments)
    config = restored.config
    if config.task != "glue" or config.data.source not in ("tfds", "tsv"):
        raise app.UsageError(f"{restored.folder} is no model of GLUE's tasks.")
    config.data.held_out = "test"
    tasks = text_tasks.load(config.data)
    # The labels are hidden, so there is nothing to measure.
    task = dataclasses.replace(
        experiment.build(config, tasks), summary=None, combine=None
    )
    restored.check_vocabulary(task.vocabulary)
    forward = make_forward(task.forward, parse_policy(config.precision))
    evaluate = evaluation.make_evaluate(task, forward, restored.parallel)
    found = evaluate(restored.variables).predictions
    for text_task in tasks:
        about = glue.TASKS[text_task.name]
        for split, name in zip(about.test_splits, text_task.held_out):
            path = glue_data.write_predictions(
                _OUT.value,
                about,
                split,
                found[name]["index"],
                found[name]["predicted"],
                len(text_task.held_out[name]),
            )
            print(path)


if __name__ == "__main__":
    restore.run(main)
