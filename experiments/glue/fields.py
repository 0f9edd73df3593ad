"""What the fields of a text classifier's config may be."""

from ml_collections import config_dict

from experiments.checks import COUNT, SIZE, Each, OneOf

# Where the answer is read from (Perceiver IO, table 2).
READOUTS = {
    "query": "a learned query for each task",
    "shared_token": "the output at an input token that is the same for all tasks",
    "task_tokens": "the output at an input token of each task's own",
}

RANGES = {
    "data.source": OneOf(("tfds", "tsv", "files", "python_docs")),
    "data.num_classes": Each(SIZE, example=(2,)),
    "data.length": COUNT,
    "model.kind": OneOf(("perceiver", "transformer")),
    "model.vocab_size": COUNT,
    "model.max_length": COUNT,
    "model.input_channels": COUNT,
    "model.readout": OneOf(tuple(READOUTS)),
}

# They change none of a run's numbers. Another tokenizer would: its name is compared by
# itself, as the same one may lie in another place.
FREE = ("data.dir", "data.tokenizer")


def classes_of(data: config_dict.ConfigDict) -> dict[str, int]:
    """Returns the number of classes of every task; 0: a score.

    Raises:
      ValueError: tasks are not names, each once, or have not one number each.
    """
    tasks, numbers = tuple(data.tasks), tuple(data.num_classes)
    if not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(f"data.tasks={tasks} must be names, each once.")
    if len(tasks) != len(numbers):
        raise ValueError(
            f"data.num_classes={numbers} must have a number for each of data.tasks="
            f"{tasks}: that of its classes, 0 for a score."
        )
    return dict(zip(tasks, numbers))
