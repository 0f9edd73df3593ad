"""The text models that a config's `model` describes: Perceiver IO, and BERT."""

from collections.abc import Callable

import jax
from ml_collections import config_dict

from experiments.model_parts import make_decoder, make_perceiver, make_transformer
from perceiver_jax.engine.task import Batch
from perceiver_jax.model import perceiver
from perceiver_jax.model.adapters import text


def make_forward(
    model: config_dict.ConfigDict,
) -> Callable[[Batch, bool], jax.Array]:
    """Returns the Haiku function (batch, is_training) -> logits [B, M, vocab_size].

    The batch has `tokens` [B, M], M at most max_length, and `token_mask` [B, M], true
    for what is no padding.
    """

    def forward(batch: Batch, is_training: bool) -> jax.Array:
        tokens = batch["tokens"]
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

    return forward


def make_embedding(model: config_dict.ConfigDict) -> text.TextEmbedding:
    """Makes the table of tokens and positions, inside a Haiku function."""
    return text.TextEmbedding(model.vocab_size, model.max_length, model.input_channels)


def make_queries(model: config_dict.ConfigDict) -> perceiver.LearnedQueries:
    """Makes the queries of pre-training, one a position, inside a Haiku function."""
    return perceiver.LearnedQueries(model.max_length, model.input_channels)
