"""The tasks of classifying and scoring texts that a config's `data` describes.

example -> {"tokens", "token_mask": [length], "label", "index", "task": []}
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.glue import python_docs_tasks
from experiments.masked_lm.data import make_tokenizer
from perceiver_jax.data import loader
from perceiver_jax.data.sources import Example, Source
from perceiver_jax.data.text import glue, glue_data, labelled, tokenizer
from perceiver_jax.engine import sharding


class TextTask(NamedTuple):
    """One task. Examples are those of `labelled.LabelledTexts`.

    Attributes:
      name: of the task.
      class_names: the name of every class id; none for a score.
      metrics: of scores.compute; the first counts in the average.
      train: to train on.
      held_out: set name -> examples to evaluate on.
    """

    name: str
    class_names: Sequence[str]
    metrics: Sequence[str]
    train: Source
    held_out: Mapping[str, Source]


def load_tasks(data: config_dict.ConfigDict) -> list[TextTask]:
    """Opens the tasks that a config's `data` describes.

    Raises:
      ValueError: an unknown task, or malformed files.
      FileNotFoundError: the data is not there, or not prepared.
    """
    return [SOURCES[data.source](data, name) for name in data.tasks]


def check_classes(data: config_dict.ConfigDict, tasks: Sequence[TextTask]) -> None:
    """Raises ValueError if tasks have other numbers of classes than a config says."""
    found = tuple(len(task.class_names) for task in tasks)
    for task, expected, number in zip(tasks, data.num_classes, found):
        if number != expected:
            has = f"{number} classes" if number else "a score and no classes"
            raise ValueError(
                f"data.num_classes={tuple(data.num_classes)}, but '{task.name}' has "
                f'{has}: use --config.data.num_classes="{found}".'
            )


def check_labels(tasks: Sequence[TextTask]) -> None:
    """Raises ValueError if what is held out can't be evaluated, for want of labels."""
    for task in tasks:
        for name, source in task.held_out.items():
            if source[0]["label"] is None:
                raise ValueError(
                    f"{name} has no labels, so it can't be evaluated: write what the "
                    "model says of it with python -m experiments.glue.submission."
                )


def _glue(data, name, open_split: Callable[..., Source]) -> TextTask:
    task = glue.find_task(name)
    kinds = {"validation": task.validation_splits, "test": task.test_splits}
    check_known("data.held_out", data.held_out, kinds)
    return TextTask(
        name,
        task.class_names,
        task.metrics,
        open_split(task, "train", data.dir or None),
        {
            name + split.removeprefix(data.held_out): open_split(
                task, split, data.dir or None
            )
            for split in kinds[data.held_out]
        },
    )


def _tfds(data, name) -> TextTask:
    return _glue(data, name, glue_data.tfds_source)


def _tsv(data, name) -> TextTask:
    if not data.dir:
        raise ValueError("data.source='tsv' needs --config.data.dir=FOLDER.")
    return _glue(data, name, glue_data.tsv_source)


def _files(data, name) -> TextTask:
    """DIR/TASK/train.csv and test.csv, or .tsv, or .jsonl."""
    folder = pathlib.Path(data.dir, name)
    train = labelled.read_labelled(_only_file(folder, "train"))
    test = labelled.read_labelled(
        _only_file(folder, data.held_out), train.class_names, train.text_columns
    )
    return TextTask(name, train.class_names, ("accuracy",), train, {name: test})


def _only_file(folder: pathlib.Path, stem: str) -> pathlib.Path:
    found = [
        folder / f"{stem}{suffix}"
        for suffix in labelled.SUFFIXES
        if (folder / f"{stem}{suffix}").is_file()
    ]
    if len(found) != 1:
        named = " and ".join(map(str, found)) or "none"
        raise FileNotFoundError(
            f"{folder} needs one file {stem}{' or '.join(labelled.SUFFIXES)}: "
            f"there is {named}."
        )
    return found[0]


def _python_docs(data, name) -> TextTask:
    """A task on Python's documentation; a tenth of the texts held out."""
    del data
    train, test = python_docs_tasks.load(name)
    return TextTask(name, train.class_names, ("accuracy",), train, {name: test})


SOURCES: dict[str, Callable[[config_dict.ConfigDict, str], TextTask]] = {
    "tfds": _tfds,
    "tsv": _tsv,
    "files": _files,
    "python_docs": _python_docs,
}


def train_loader(
    config: config_dict.ConfigDict, tasks: Sequence[TextTask], encode: "Encode"
) -> loader.TrainLoader:
    """Returns the batches to train on, of all tasks mixed."""
    return loader.TrainLoader(
        # Each as often as it has examples: an epoch shows each example about once.
        loader.Mixture(
            [Tagged(task.train, number) for number, task in enumerate(tasks)],
            [len(task.train) for task in tasks],
        ),
        encode,
        config.batch_size,
        config.seed,
        **sharding.this_process(),
    )


def eval_loader(
    config: config_dict.ConfigDict, source: Source, number: int, encode: "Encode"
) -> loader.EvalLoader:
    """Returns the batches to evaluate on, of a set of the task of this number."""
    return loader.EvalLoader(
        Tagged(source, number),
        encode,
        config.eval_batch_size,
        **sharding.this_process(),
    )


@dataclasses.dataclass(frozen=True)
class Tagged:
    """A source whose examples say the number of the task that they are of."""

    source: Source
    task: int

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`, with its `task`."""
        return {**self.source[index], "task": self.task}


def make_encode(config: config_dict.ConfigDict) -> "Encode":
    """Returns what makes arrays of examples, for a config's tokenizer and model."""
    is_query = config.model.readout == "query"
    prefix = () if is_query else (tokenizer.CLS,)
    return Encode(make_tokenizer(config), config.data.length, prefix)


@dataclasses.dataclass(frozen=True)
class Encode:
    """Joins the texts of an example.

    Attributes:
      tokens: what texts are made of.
      length: of all, in tokens.
      prefix: tokens before the first text, where the answer is read from one.
    """

    tokens: tokenizer.Tokenizer
    length: int
    prefix: tuple[int, ...]

    def __call__(
        self, example: Example, rng: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Maps an example to arrays; nothing is random."""
        del rng
        parts = [self.tokens.encode(text) for text in example["texts"]]
        room = self.length - len(self.prefix) - (len(parts) - 1)
        joined = [np.array(self.prefix, np.int32)]
        for number, part in enumerate(shorten(parts, room)):
            joined += [np.array([tokenizer.SEP] * bool(number), np.int32), part]
        padded, valid = tokenizer.pad(np.concatenate(joined), self.length)
        label = example["label"]
        return {
            "tokens": padded,
            "token_mask": valid,
            "label": np.array(np.nan if label is None else label, np.float32),
            "index": np.array(example["index"], np.int32),
            "task": np.array(example["task"], np.int32),
        }


def shorten(parts: Sequence[np.ndarray], room: int) -> list[np.ndarray]:
    """Cuts the ends of one or two texts off, of the longer first (as BERT does)."""
    if len(parts) == 1:
        return [parts[0][:room]]
    first, second = parts
    kept = min(len(first), max(room - len(second), room - room // 2))
    return [first[:kept], second[: room - kept]]
