"""Text as inputs: token embeddings plus learned positions; logits by the same table."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp

from perceiver_jax.model import parameters, position


@dataclasses.dataclass
class TextEmbedding(hk.Module):
    """One table that turns tokens into inputs, and outputs into logits.

    (Perceiver IO, section 4.1: bytes or SentencePiece tokens.)
    """

    vocab_size: int
    max_length: int
    channels: int
    name: str | None = None

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Maps tokens [B, M] to inputs [B, M, channels].

        Raises:
          ValueError: M is more than max_length.
        """
        length = tokens.shape[1]
        if length > self.max_length:
            raise ValueError(
                f"{length} tokens are more than max_length={self.max_length}."
            )
        positions = position.learned_array("positions", self.max_length, self.channels)
        return self._table()[tokens] + positions[:length]

    @hk.name_like("__call__")
    def logits(self, outputs: jax.Array) -> jax.Array:
        """Maps outputs [B, O, channels] to logits [B, O, vocab_size]."""
        init = parameters.bias(jnp.zeros)
        bias = hk.get_parameter("output_bias", [self.vocab_size], init=init)
        return outputs @ self._table().T + bias

    def _table(self):
        return position.learned_array("embeddings", self.vocab_size, self.channels)
