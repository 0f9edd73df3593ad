"""Which tokens a masked language model has to guess: (tokens [M], rng) -> [M] bool."""

import dataclasses
from collections.abc import Callable

import numpy as np

from perceiver_jax.data.text.tokenizer import NUM_RESERVED, Tokenizer

Masking = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclasses.dataclass(frozen=True)
class WholeWords:
    """Chooses words, each with probability `rate`, whatever tokens they are made of.

    White space is never chosen. A generator in the same state chooses the same words
    of the same text with every tokenizer (Perceiver IO, appendix F.1).
    """

    tokenizer: Tokenizer
    rate: float

    def __call__(self, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Maps tokens [M] to [M] bool, with one draw a word."""
        words = self.tokenizer.words(tokens)
        chosen = rng.random(words.max(initial=-1) + 1) < self.rate
        return np.append(chosen, False)[words]  # word -1, none, is the last


@dataclasses.dataclass(frozen=True)
class SingleTokens:
    """Chooses tokens, white space too, each by itself with probability `rate`.

    Reserved tokens are never chosen.
    """

    rate: float

    def __call__(self, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Maps tokens [M] to [M] bool, with one draw a token."""
        return (rng.random(len(tokens)) < self.rate) & (tokens >= NUM_RESERVED)
