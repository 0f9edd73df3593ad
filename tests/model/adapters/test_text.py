"""Tokens to inputs and outputs to logits, with one table."""

import haiku as hk
import jax
import numpy as np
import pytest
from judge import random_like

from perceiver_jax.model.adapters import text


def both_ways(tokens):
    """Inputs, and the logits of inputs as outputs."""
    embedding = text.TextEmbedding(vocab_size=7, max_length=5, channels=4)
    inputs = embedding(tokens)
    return inputs, embedding.logits(inputs)


def test_inputs_are_rows_of_two_tables_and_logits_products_with_one():
    tokens = np.array([[3, 0, 6], [1, 1, 2]])
    module = hk.transform(both_ways)
    shapes = jax.eval_shape(module.init, jax.random.key(0), tokens)
    params = random_like(shapes)
    assert list(params) == ["text_embedding"]
    tables = params["text_embedding"]
    inputs, logits = module.apply(params, None, tokens)
    expected = tables["embeddings"][tokens] + tables["positions"][:3]
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    expected = expected @ tables["embeddings"].T + tables["output_bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_more_tokens_than_positions_are_refused():
    module = hk.transform(both_ways)
    with pytest.raises(ValueError, match="6 tokens are more than max_length=5"):
        jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 6), int))
