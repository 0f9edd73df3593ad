"""The classifiers of texts that a config's `model` describes."""

import dataclasses
from collections.abc import Mapping

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.glue.fields import classes_of
from experiments.glue.outputs import Metrics
from experiments.masked_lm import model as text_model
from experiments.model_parts import make_decoder, make_perceiver, make_transformer
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import attention, perceiver


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/glue.py or text_classification.py.

    Raises:
      ValueError: texts are longer than the model takes, tasks have no number of
        classes, or there is nothing where the answer should be read from.
    """
    text_model.check_length(config)
    if config.model.readout == "query" and config.model.kind == "transformer":
        raise ValueError(
            "model.readout='query' needs latents to query; a Transformer reads from "
            "its first token: use 'shared_token' or 'task_tokens'."
        )
    num_classes = classes_of(config.data)
    length = (config.data.length,)
    return Model(
        forward=Forward(config.model, num_classes),
        example={
            "tokens": jax.ShapeDtypeStruct(length, np.int32),
            "token_mask": jax.ShapeDtypeStruct(length, bool),
            "label": jax.ShapeDtypeStruct((), np.float32),
            "index": jax.ShapeDtypeStruct((), np.int32),
            "task": jax.ShapeDtypeStruct((), np.int32),
        },
        metrics=Metrics(num_classes),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> {task: logits}.

    All tasks answer every example; metrics look at the one that was asked. Modules are
    named as in masked language modelling, so that its weights can be started from.

    Attributes:
      model: the config's.
      num_classes: of every task, in the order of the batch's task numbers; 0: a score.
    """

    model: config_dict.ConfigDict
    num_classes: Mapping[str, int]

    def __call__(self, batch: Batch, is_training: bool) -> dict[str, jax.Array]:
        """Maps `tokens`, `token_mask` [B, M], `task` [B] to {task: [B, classes]}."""
        model = self.model
        valid = batch["token_mask"].astype(bool)
        inputs = text_model.make_embedding(model)(batch["tokens"])
        if model.readout == "task_tokens":
            # To the token before the text, which is the same for all, its own part.
            table = self._task_table("task_tokens")
            inputs = inputs.at[:, 0].add(table[batch["task"]])
        if model.kind == "transformer":
            outputs = make_transformer(model)(inputs, valid, is_training)
        else:
            if model.readout == "query":
                table = self._task_table("task_queries")
                queries = table[batch["task"]][:, None]
            else:
                queries = text_model.make_queries(model)()[:, :1]
            outputs = make_perceiver(model, make_decoder(model))(
                inputs, queries, valid, None, is_training
            )
        return {
            task: Head(count or 1, name=f"{task}_head")(outputs[:, 0])
            for task, count in self.num_classes.items()
        }

    def _task_table(self, name: str) -> jax.Array:
        """A learned row for each task, [tasks, channels]."""
        count, channels = len(self.num_classes), self.model.input_channels
        return perceiver.LearnedQueries(count, channels, name=name)()[0]


@dataclasses.dataclass
class Head(hk.Module):
    """A two-layer MLP with tanh, as wide as the query (Perceiver IO, appendix F)."""

    num_outputs: int
    name: str | None = None

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Maps [B, E] to logits [B, num_outputs]."""
        hidden = attention.Projection(outputs.shape[-1], name="hidden")(outputs)
        return attention.Projection(self.num_outputs, name="output")(jnp.tanh(hidden))
