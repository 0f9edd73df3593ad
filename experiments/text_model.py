"""The masked language model that a config's `model` describes."""

from collections.abc import Callable

import jax
from ml_collections import config_dict

from experiments.model import make_decoder, make_perceiver
from perceiver_jax import perceiver
from perceiver_jax.adapters import text
from perceiver_jax.task import Batch


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
        embedding = text.TextEmbedding(
            model.vocab_size, model.max_length, model.input_channels
        )
        inputs = embedding(tokens)
        queries = perceiver.LearnedQueries(model.max_length, model.input_channels)()
        outputs = make_perceiver(model, make_decoder(model))(
            inputs,
            queries[:, : tokens.shape[1]],
            valid,
            valid if model.mask_queries else None,
            is_training,
        )
        return embedding.logits(outputs)

    return forward
