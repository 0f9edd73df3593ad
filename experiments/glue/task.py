"""Classifying and scoring texts: GLUE, files of one's own, Python's documentation.

One task or several at once; every evaluation split is a set of its own.
"""

from collections.abc import Sequence

from ml_collections import config_dict

from experiments.glue.data import (
    TextTask,
    check_classes,
    check_labels,
    eval_loader,
    load_tasks,
    make_encode,
    train_loader,
)
from experiments.glue.fields import classes_of
from experiments.glue.model import make_model
from experiments.glue.outputs import Average, Predictions, Summary
from perceiver_jax.engine.task import Evaluation, Identity, Model, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/glue.py or text_classification.py."""
    model = make_model(config)  # what is wrong with it is found before data is read
    tasks = load_tasks(config.data)
    check_labels(tasks)
    return build(config, model, tasks)


def build(
    config: config_dict.ConfigDict, model: Model, tasks: Sequence[TextTask]
) -> Task:
    """Builds the task of text tasks, whose held-out labels may be hidden (None)."""
    check_classes(config.data, tasks)
    encode = make_encode(config)
    predictions = Predictions(classes_of(config.data))
    return Task(
        name="glue",
        model=model,
        train=train_loader(config, tasks, encode),
        evaluations={
            name: Evaluation(
                batches=eval_loader(config, source, number, encode).batches,
                predictions=predictions,
                summary=Summary(task.metrics),
            )
            for number, task in enumerate(tasks)
            for name, source in task.held_out.items()
        },
        score=Average(
            {
                task.name: [f"{name}/{task.metrics[0]}" for name in task.held_out]
                for task in tasks
            }
        ),
        identity=Identity(
            vocabulary=encode.tokens.name,
            class_names={task.name: tuple(task.class_names) for task in tasks},
        ),
    )
