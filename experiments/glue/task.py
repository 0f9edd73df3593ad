"""Classifying and scoring texts: GLUE, files of one's own, Python's documentation.

One task or several at once; every evaluation split is a set of its own.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.glue.data import TextTask, load
from experiments.masked_lm import model as text_model
from experiments.masked_lm import task as masked_lm
from experiments.model_parts import make_decoder, make_perceiver, make_transformer
from perceiver_jax.data import loader
from perceiver_jax.data.sources import Example, Source
from perceiver_jax.data.text import glue, tokenizer
from perceiver_jax.engine import losses, metrics, scores, sharding
from perceiver_jax.engine.task import Batch, Task
from perceiver_jax.model import attention, perceiver


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/glue.py or text_classification.py."""
    tasks = load(config.data)
    for task in tasks:
        for name, source in task.held_out.items():
            if source[0]["label"] is None:
                raise ValueError(
                    f"{name} has no labels, so it can't be evaluated: write what the "
                    "model says of it with python -m experiments.glue.submission."
                )
    return build(config, tasks)


def build(config: config_dict.ConfigDict, tasks: Sequence[TextTask]) -> Task:
    """Builds the task of text tasks; their held-out labels may be hidden (None)."""
    process = sharding.this_process()
    encode = make_encode(config)
    # Each task as often as it has examples: an epoch shows each example about once.
    mixture = loader.Mixture(
        [Tagged(task.train, number) for number, task in enumerate(tasks)],
        [len(task.train) for task in tasks],
    )
    train_batches = functools.partial(
        loader.train_batches,
        mixture,
        lambda example, rng: encode(example),
        config.batch_size,
        seed=config.seed,
        **process,
    )
    eval_data = {
        name: functools.partial(
            loader.eval_batches,
            Tagged(source, number),
            encode,
            config.eval_batch_size,
            **process,
        )
        for number, task in enumerate(tasks)
        for name, source in task.held_out.items()
    }
    return Task(
        name="glue",
        num_train_examples=lambda: len(mixture),
        train_data=lambda start_step: train_batches(start_step=start_step),
        eval_data=eval_data,
        forward=make_forward(
            config.model, {task.name: task.num_outputs for task in tasks}
        ),
        metrics=make_metrics(tasks),
        predictions=make_predictions(tasks),
        summary=functools.partial(summarise, tasks=tasks),
        combine=functools.partial(average, tasks=tasks),
        best_metric="average",
        vocabulary=tokenizer.make(config.data.tokenizer).name,
        class_names={task.name: tuple(task.class_names) for task in tasks},
    )


# Data: example -> {"tokens", "token_mask": [length], "label", "index", "task": []}.


class Tagged:
    """A source whose examples say which task they are of."""

    def __init__(self, source: Source, task: int):
        self._source = source
        self._task = task

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`, with its `task`."""
        return {**self._source[index], "task": self._task}


def make_encode(
    config: config_dict.ConfigDict,
) -> Callable[[Example], dict[str, np.ndarray]]:
    """Returns example -> arrays, for the tokenizer and model of a config.

    Raises:
      ValueError: the tokenizer or length does not fit the model, or the answer can't
        be read from where the config says.
    """
    tokens = masked_lm.make_tokenizer(config)
    readout = config.model.readout
    check_known("model.readout", readout, READOUTS)
    if readout == "query" and config.model.kind == "transformer":
        raise ValueError(
            "model.readout='query' needs latents to query; a Transformer reads from "
            "its first token: use 'shared_token' or 'task_tokens'."
        )
    return functools.partial(
        _encode,
        tokens=tokens,
        length=config.data.length,
        prefix=[] if readout == "query" else [tokenizer.CLS],
    )


def _encode(
    example: Example,
    *,
    tokens: tokenizer.Tokenizer,
    length: int,
    prefix: Sequence[int],
) -> dict[str, np.ndarray]:
    parts = [tokens.encode(text) for text in example["texts"]]
    room = length - len(prefix) - (len(parts) - 1)
    joined = [np.array(prefix, np.int32)]
    for number, part in enumerate(shorten(parts, room)):
        joined += [np.array([tokenizer.SEP] * bool(number), np.int32), part]
    padded, valid = tokenizer.pad(np.concatenate(joined), length)
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


# The model. Where the answer is read from (Perceiver IO, table 2):
READOUTS = {
    "query": "a learned query for each task",
    "shared_token": "the output at an input token that is the same for all tasks",
    "task_tokens": "the output at an input token of each task's own",
}


def make_forward(
    model: config_dict.ConfigDict, num_outputs: Mapping[str, int]
) -> Callable[[Batch, bool], dict[str, jax.Array]]:
    """Returns the Haiku function (batch, is_training) -> {task: logits [B, outputs]}.

    `num_outputs` of every task are in the order of the batch's task numbers.

    All tasks answer every example; metrics look at the one that was asked. Modules are
    named as in masked language modelling, so that its weights can be started from.
    """

    def forward(batch: Batch, is_training: bool) -> dict[str, jax.Array]:
        valid = batch["token_mask"].astype(bool)
        inputs = text_model.make_embedding(model)(batch["tokens"])
        if model.readout == "task_tokens":
            # To the token before the text, which is the same for all, its own part.
            table = _task_table("task_tokens", model, len(num_outputs))
            inputs = inputs.at[:, 0].add(table[batch["task"]])
        if model.kind == "transformer":
            outputs = make_transformer(model)(inputs, valid, is_training)
        else:
            if model.readout == "query":
                table = _task_table("task_queries", model, len(num_outputs))
                queries = table[batch["task"]][:, None]
            else:
                queries = text_model.make_queries(model)()[:, :1]
            outputs = make_perceiver(model, make_decoder(model))(
                inputs, queries, valid, None, is_training
            )
        return {
            task: Head(count, name=f"{task}_head")(outputs[:, 0])
            for task, count in num_outputs.items()
        }

    return forward


def _task_table(name, model, num_tasks):
    table = perceiver.LearnedQueries(num_tasks, model.input_channels, name=name)
    return table()[0]


@dataclasses.dataclass
class Head(hk.Module):
    """A two-layer MLP with tanh, as wide as the query (Perceiver IO, appendix F)."""

    num_outputs: int
    name: str | None = None

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Maps [B, E] to logits [B, num_outputs]."""
        hidden = attention.Projection(outputs.shape[-1], name="hidden")(outputs)
        return attention.Projection(self.num_outputs, name="output")(jnp.tanh(hidden))


# Outputs: {task: logits [B, outputs]} -> numbers.


def make_metrics(
    tasks: Sequence[TextTask],
) -> Callable[[Mapping[str, jax.Array], Batch], metrics.Metrics]:
    """Returns (logits, batch) -> the loss [B], and each task's own where several.

    The loss is cross-entropy for classes and the squared error for scores.
    """

    def compute(logits: Mapping[str, jax.Array], batch: Batch) -> metrics.Metrics:
        found = {}
        total = jnp.zeros_like(batch["mask"])
        for number, task in enumerate(tasks):
            asked = batch["mask"] * (batch["task"] == number)
            loss = jnp.where(asked > 0, task_loss(task, logits, batch), 0.0)
            total += loss
            if len(tasks) > 1:
                found[f"loss_{task.name}"] = (loss, asked)
        return {"loss": (total, batch["mask"]), **found}

    return compute


def task_loss(task, logits, batch):
    """One task's loss of every example, [B]; means nothing for those of others."""
    found, label = logits[task.name], batch["label"]
    if not task.class_names:
        return jnp.square(found[:, 0].astype(jnp.float32) - label)
    label = jnp.clip(label.astype(jnp.int32), 0, task.num_outputs - 1)
    return losses.token_cross_entropy(found, label)


def make_predictions(
    tasks: Sequence[TextTask],
) -> Callable[[Mapping[str, jax.Array], Batch], dict[str, jax.Array]]:
    """Returns (logits, batch) -> predicted class or score, label, index, task: [B]."""

    def compute(logits: Mapping[str, jax.Array], batch: Batch) -> dict[str, jax.Array]:
        answers = jnp.stack(
            [
                logits[task.name].argmax(-1).astype(jnp.float32)
                if task.class_names
                else logits[task.name][:, 0].astype(jnp.float32)
                for task in tasks
            ],
            axis=-1,
        )
        task = batch["task"]
        predicted = jnp.take_along_axis(answers, task[:, None], axis=-1)[:, 0]
        return {"predicted": predicted, **{k: batch[k] for k in KEPT}}

    return compute


KEPT = ("label", "index", "task")


def summarise(
    collected: Mapping[str, np.ndarray], *, tasks: Sequence[TextTask]
) -> dict[str, float]:
    """Returns the task's own metrics of an evaluation set, which has one task."""
    task = tasks[int(collected["task"][0])]
    return scores.compute(task.metrics, collected["label"], collected["predicted"])


def average(
    numbers: Mapping[str, float], *, tasks: Sequence[TextTask]
) -> dict[str, float]:
    """Returns the average over tasks as the paper takes it, 0 to 100."""
    found = {
        task.name: [numbers[f"{name}/{task.metrics[0]}"] for name in task.held_out]
        for task in tasks
    }
    return {"average": glue.average(found)}
