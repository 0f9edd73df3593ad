"""What is hidden: at its rate, whole words alike for every tokenizer."""

import pydoc_data.topics

import numpy as np
import pytest

from perceiver_jax.data.text import masking, tokenizer

TOPICS = [text.encode() for text in pydoc_data.topics.topics.values()]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A SentencePiece model of 1,500 pieces, learned from half of Python's topics."""
    path = tmp_path_factory.mktemp("tokenizer") / "half.model"
    path.write_bytes(tokenizer.train(TOPICS[::2], 1500))
    return path


def test_whole_words_at_their_rate_whatever_the_tokenizer(model):
    text = b"\n\n".join(TOPICS)
    num_words = len(text.split())
    chosen = {}
    for name in ("bytes", str(model)):
        tokens = tokenizer.make(name)
        encoded = tokens.encode(text)
        mask = masking.WholeWords(tokens, 0.15)(encoded, np.random.default_rng(0))
        words = tokens.words(encoded)
        chosen[name] = set(words[mask])
        # All of a word or nothing, and no white space.
        assert not mask[words == -1].any()
        assert not set(words[~mask & (words >= 0)]) & chosen[name]
    # Five standard deviations of the binomial distribution.
    rate = len(chosen["bytes"]) / num_words
    assert abs(rate - 0.15) < 5 * np.sqrt(0.15 * 0.85 / num_words)
    assert chosen["bytes"] == chosen[str(model)]


def test_single_tokens_at_their_rate():
    encoded = tokenizer.Bytes().encode(b"".join(TOPICS))
    encoded[:1000] = tokenizer.CLS
    mask = masking.SingleTokens(0.15)(encoded, np.random.default_rng(0))
    assert not mask[:1000].any()
    rate = mask[1000:].mean()
    assert abs(rate - 0.15) < 5 * np.sqrt(0.15 * 0.85 / len(encoded))
    both = (mask[1000:-1] & mask[1001:]).mean()  # neighbours are independent
    assert abs(both - 0.15**2) < 5 * np.sqrt(0.15**2 / len(encoded))


def test_a_text_without_words_hides_nothing():
    tokens = tokenizer.Bytes()
    for text in (b"", b"  \n"):
        encoded = tokens.encode(text)
        mask = masking.WholeWords(tokens, 0.99)(encoded, np.random.default_rng(0))
        assert mask.shape == encoded.shape and not mask.any()
