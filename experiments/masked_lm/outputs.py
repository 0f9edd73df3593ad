"""What is made of a masked language model's logits: numbers and texts."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.data.text import tokenizer
from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch

SHORTEST = 16  # tokens; metrics tell lengths up to this, twice this, ...


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Loss, accuracy and bits per byte of the tokens that are hidden.

    Bits per byte count the bytes that are no white space, the same for all tokenizers.
    They and accuracy are told for all texts and by the texts' length, in tokens.

    Attributes:
      longest: a text's largest number of tokens.
    """

    longest: int

    def __call__(self, logits: jax.Array, batch: Batch) -> metrics.Metrics:
        """Maps logits [B, M, V] and a batch to [B, M] each."""
        labels, size = batch["labels"], batch["label_bytes"]
        weights = batch["masked"] * batch["mask"][:, None]
        nats = losses.token_cross_entropy(logits, labels)
        correct = (logits.argmax(-1) == labels).astype(jnp.float32)
        bits = nats / math.log(2) / jnp.maximum(size, 1)
        found = {
            "loss": (nats, weights),
            "masked_accuracy": (correct, weights),
            "bits_per_byte": (bits, weights * size),
        }
        count = batch["token_mask"].sum(-1, keepdims=True)
        length, shorter = SHORTEST, 0
        while shorter < self.longest:
            chosen = weights * ((shorter < count) & (count <= length))
            found[f"bits_per_byte_to_{length}"] = (bits, chosen * size)
            found[f"masked_accuracy_to_{length}"] = (correct, chosen)
            length, shorter = 2 * length, length
        return found


def length_bucket(count: int) -> int:
    """Returns the length under which metrics tell a text of `count` tokens."""
    length = SHORTEST
    while length < count:
        length *= 2
    return length


@dataclasses.dataclass(frozen=True)
class Fills:
    """A table of texts: what was hidden, and what the model fills in.

    Attributes:
      tokens: shows them.
      width: tokens of a row, around the first hidden ones, those as underscores.
    """

    tokens: tokenizer.Tokenizer
    width: int = 60

    def __call__(self, logits: np.ndarray, batch: Batch) -> dict[str, str]:
        """Maps logits [B, M, V] and a batch to Markdown."""
        rows = ["| hidden | filled | true |", "| --- | --- | --- |"]
        for guess, labels, masked, valid in zip(
            logits.argmax(-1), batch["labels"], batch["masked"], batch["token_mask"]
        ):
            if not masked.any():
                continue
            start = max(0, int(masked.argmax()) - self.width // 3)
            part = slice(start, min(start + self.width, int(valid.sum())))
            labels, masked = labels[part], masked[part]
            true = [self.tokens.show(token) for token in labels]
            said = [visible(self.tokens.show(token)) for token in guess[part]]
            filled = np.where(masked, said, true)
            hidden = (_hide(s) if m else s for s, m in zip(true, masked))
            cells = ["".join(x).replace("|", "\\|") for x in (hidden, filled, true)]
            rows.append("| " + " | ".join(cells) + " |")
        return {"fills": "\n".join(rows)}


def _hide(shown: str) -> str:
    """Returns an underscore; a piece of text keeps the space that it begins with."""
    return " _" if shown.startswith(" ") and len(shown) > 1 else "_"


def visible(shown: str) -> str:
    """Returns a token as `show` has it, with spaces that are seen."""
    return shown.replace(" ", "␣")
