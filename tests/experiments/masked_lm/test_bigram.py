"""The byte bigram, counted by hand."""

import numpy as np
import pytest

from experiments.masked_lm import bigram
from perceiver_jax.data import loader
from perceiver_jax.data.text import corpus, tokenizer

BYTES = tokenizer.Bytes()


def test_bigrams_are_counted_with_the_weights_of_corpora():
    sources = [corpus.in_memory([text] * 2, ["x"] * 2) for text in (b"ab", b"ac")]
    table = bigram.count_bigrams(loader.Mixture(sources, (3.0, 1.0)), documents=1)
    np.testing.assert_allclose(np.exp2(table).sum(-1), 1)
    after_a = np.exp2(table[ord("a")])
    total = 4 + 256 * bigram.SMOOTHING
    assert after_a[ord("b")] == pytest.approx((3 + bigram.SMOOTHING) / total)
    assert after_a[ord("c")] == pytest.approx((1 + bigram.SMOOTHING) / total)
    first = np.exp2(table[bigram.NEWLINE])  # a text begins after a line's end
    assert first[ord("a")] == pytest.approx((4 + bigram.SMOOTHING) / total)


def test_bits_are_of_hidden_bytes_that_are_no_white_space():
    rng = np.random.default_rng(0)
    table = np.log2(rng.dirichlet(np.ones(256), 256))
    labels = BYTES.encode(b"a cat sat\n" * 2)
    labels = np.stack([np.append(labels, [tokenizer.PAD] * 4)] * 2)
    valid = labels != tokenizer.PAD
    masked = np.zeros_like(valid)
    masked[:, [0, 1, 3]] = True  # "a", a space, "a"
    batch = {
        "labels": labels,
        "masked": masked,
        "token_mask": valid,
        "mask": np.array([1.0, 0.0]),  # the second is padding
    }
    found = bigram.bits_of_bigram(table, [batch], BYTES)
    bits = -(table[ord("\n"), ord("a")] + table[ord("c"), ord("a")]) / 2
    assert found == {
        "bits_per_byte": pytest.approx(bits),
        "bits_per_byte_to_32": pytest.approx(bits),
    }
