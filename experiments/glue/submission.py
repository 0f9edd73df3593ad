r"""Writes a model's predictions of GLUE's test sets in the format of its server.

    python -m experiments.glue.submission --workdir=DIR --step=best --out=submission

Once for each single-task run, with the same --out; a multitask run writes the files of
all tasks. A submission is a zip archive of them, with WNLI.tsv and AX.tsv besides.
"""

from collections.abc import Sequence

from absl import app, flags

from experiments import build, restore
from experiments.glue import task as text_tasks
from experiments.glue.data import load_tasks
from perceiver_jax.data.text import glue, glue_data
from perceiver_jax.engine.checkpoints import description
from perceiver_jax.engine.evaluation import Evaluator
from perceiver_jax.engine.forward import make_forward, parse_policy

_OUT = flags.DEFINE_string("out", None, "Folder to write the files in.")


def main(restored: restore.Restored, _: Sequence[str]) -> None:
    config = restored.config
    if not _OUT.value:
        raise app.UsageError("--out=FOLDER is missing: where to write the files.")
    if config.task != "glue" or config.data.source not in ("tfds", "tsv"):
        raise ValueError(f"{restored.folder} is no model of GLUE's tasks.")
    config.data.held_out = "test"  # its labels are hidden
    tasks = load_tasks(config.data)
    task = text_tasks.build(config, build.make_model(config), tasks)
    description.check_identity(restored.about, task.identity, str(restored.folder))
    forward = make_forward(task.model.forward, parse_policy(config.precision))
    evaluator = Evaluator(task, forward, restored.parallel)
    for text_task in tasks:
        about = glue.TASKS[text_task.name]
        for split, (name, examples) in zip(
            about.test_splits, text_task.held_out.items()
        ):
            found = evaluator.predictions(name, restored.variables)
            path = glue_data.write_predictions(
                _OUT.value,
                about,
                split,
                found["index"],
                found["predicted"],
                len(examples),
            )
            print(path)


if __name__ == "__main__":
    restore.run(main)
