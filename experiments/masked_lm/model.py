"""The text models that a config's `model` describes: Perceiver IO, and BERT."""

import dataclasses

import jax
import numpy as np
from ml_collections import config_dict

from experiments.masked_lm.outputs import Metrics
from experiments.model_parts import make_decoder, make_perceiver, make_transformer
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import perceiver
from perceiver_jax.model.adapters import text


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/masked_lm.py.

    Raises:
      ValueError: texts are longer than the model takes.
    """
    check_length(config)
    length = (config.data.length,)
    return Model(
        forward=Forward(config.model),
        example={
            "tokens": jax.ShapeDtypeStruct(length, np.int32),
            "labels": jax.ShapeDtypeStruct(length, np.int32),
            "masked": jax.ShapeDtypeStruct(length, bool),
            "token_mask": jax.ShapeDtypeStruct(length, bool),
            "label_bytes": jax.ShapeDtypeStruct(length, np.int32),
        },
        metrics=Metrics(config.data.length),
    )


def check_length(config: config_dict.ConfigDict) -> None:
    """Raises ValueError if a config's texts are longer than its model takes."""
    length, longest = config.data.length, config.model.max_length
    if length > longest:
        raise ValueError(
            f"data.length={length} must be from 1 to the model's number of positions, "
            f"model.max_length={longest}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config's `model`: (batch, is_training) -> logits."""

    model: config_dict.ConfigDict

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `tokens` and `token_mask`, true where no padding, to [B, M, V].

        Both are [B, M], with M at most max_length.
        """
        model, tokens = self.model, batch["tokens"]
        valid = batch["token_mask"].astype(bool)
        embedding = make_embedding(model)
        inputs = embedding(tokens)
        if model.kind == "transformer":
            outputs = make_transformer(model)(inputs, valid, is_training)
            return embedding.logits(outputs)
        queries = make_queries(model)()
        outputs = make_perceiver(model, make_decoder(model))(
            inputs,
            queries[:, : tokens.shape[1]],
            valid,
            valid if model.mask_queries else None,
            is_training,
        )
        return embedding.logits(outputs)


def make_embedding(model: config_dict.ConfigDict) -> text.TextEmbedding:
    """Makes the table of tokens and positions, inside a Haiku function."""
    return text.TextEmbedding(model.vocab_size, model.max_length, model.input_channels)


def make_queries(model: config_dict.ConfigDict) -> perceiver.LearnedQueries:
    """Makes the queries of pre-training, one a position, inside a Haiku function."""
    return perceiver.LearnedQueries(model.max_length, model.input_channels)
