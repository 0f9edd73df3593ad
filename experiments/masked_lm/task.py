"""Masked language modelling: guess the words that are hidden in a text."""

import functools
import math
import zlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from experiments.masked_lm import data as corpora
from experiments.masked_lm import model as text_model
from perceiver_jax.data import loader, sources
from perceiver_jax.data.sources import Example
from perceiver_jax.data.text import corpus, masking, tokenizer
from perceiver_jax.engine import losses, metrics, sharding
from perceiver_jax.engine.task import Batch, Task

SHORTEST = 16  # tokens; metrics tell lengths up to this, twice this, ...


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/masked_lm.py."""
    data = config.data
    tokens = make_tokenizer(config)
    text = corpora.load(data)
    process = sharding.this_process()
    mask = make_mask(data.masking, tokens, data.mask_rate)
    train_batches = functools.partial(
        loader.train_batches,
        text.train,
        functools.partial(crop, tokens=tokens, mask=mask, length=data.length),
        config.batch_size,
        seed=config.seed,
        group_size=data.documents,
        num_workers=data.num_workers,
        **process,
    )
    begin = functools.partial(begin_document, tokens=tokens, mask=mask)
    eval_data = {
        name: functools.partial(
            loader.eval_batches,
            sources.Subset(documents, range(min(len(documents), data.max_held_out))),
            functools.partial(begin, length=data.length, seed=config.seed),
            config.eval_batch_size,
            **process,
        )
        for name, documents in text.held_out.items()
    }
    return Task(
        name="masked_lm",
        num_train_examples=lambda: max(1, len(text.train) // data.documents),
        train_data=lambda start_step: train_batches(start_step=start_step),
        eval_data=eval_data,
        forward=text_model.make_forward(config.model),
        metrics=make_metrics(tokens.word_bytes, data.length),
        texts=functools.partial(show_fills, tokens=tokens),
        best_metric=f"{next(iter(eval_data))}/masked_accuracy",
        vocabulary=tokens.name,
    )


def make_tokenizer(config: config_dict.ConfigDict) -> tokenizer.Tokenizer:
    """Returns the tokenizer of a config, which must fit its model.

    Raises:
      ValueError: the model has another vocabulary size, or fewer positions than
        data.length.
    """
    data, model = config.data, config.model
    tokens = tokenizer.make(data.tokenizer)
    if tokens.vocab_size != model.vocab_size:
        raise ValueError(
            f"data.tokenizer='{data.tokenizer}' has {tokens.vocab_size} tokens, but "
            f"model.vocab_size={model.vocab_size}: set both to one tokenizer's."
        )
    if not 0 < data.length <= model.max_length:
        raise ValueError(
            f"data.length={data.length} must be from 1 to the model's number of "
            f"positions, model.max_length={model.max_length}."
        )
    return tokens


# Data: documents -> {"tokens", "labels", "masked", "token_mask"}, each [length].


def make_mask(name: str, tokens: tokenizer.Tokenizer, rate: float) -> masking.Masking:
    """Returns what chooses the tokens to hide."""
    if not 0 < rate < 1:
        raise ValueError(f"data.mask_rate={rate} must be between 0 and 1.")
    check_known("data.masking", name, ("words", "tokens"))
    if name == "words":
        return masking.WholeWords(tokens, rate)
    return masking.SingleTokens(rate)


def crop(
    documents: Sequence[Example],
    rng: np.random.Generator,
    *,
    tokens: tokenizer.Tokenizer,
    mask: masking.Masking,
    length: int,
) -> dict[str, np.ndarray]:
    """Joins documents and takes `length` tokens from somewhere in them."""
    text = corpus.SEPARATOR.join(d["text"] for d in documents if d["text"])
    window = length * tokens.bytes_per_token
    start = rng.integers(max(0, len(text) - window) + 1)
    found = tokens.encode(text[start : start + window])[:length]
    return _arrays(found, mask(found, rng), length)


def begin_document(
    document: Example,
    *,
    tokens: tokenizer.Tokenizer,
    mask: masking.Masking,
    length: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Takes the first tokens of a document; what is hidden depends on it alone."""
    text = document["text"]
    found = tokens.encode(text[: length * tokens.bytes_per_token])[:length]
    rng = np.random.default_rng([seed, zlib.crc32(text)])
    return _arrays(found, mask(found, rng), length)


def _arrays(found, masked, length):
    labels, valid = tokenizer.pad(found, length)
    masked = np.append(masked, np.zeros(length - len(masked), bool))
    return {
        "tokens": np.where(masked, tokenizer.MASK, labels).astype(np.int32),
        "labels": labels,
        "masked": masked,
        "token_mask": valid,
    }


# Outputs: logits [B, M, V] -> numbers and texts.


def make_metrics(
    word_bytes: np.ndarray, longest: int
) -> Callable[[jax.Array, Batch], metrics.Metrics]:
    """Returns (logits, batch) -> metrics of the masked tokens [B, M].

    Bits per byte count the bytes that are no white space, the same for all tokenizers;
    they are told for all texts and by the texts' length, in tokens.

    Args:
      word_bytes: [V], of every token.
      longest: a text's largest number of tokens.
    """

    def compute(logits: jax.Array, batch: Batch) -> metrics.Metrics:
        labels = batch["labels"]
        weights = batch["masked"] * batch["mask"][:, None]
        nats = losses.token_cross_entropy(logits, labels)
        correct = (logits.argmax(-1) == labels).astype(jnp.float32)
        size = jnp.asarray(word_bytes)[labels]
        bits = nats / math.log(2) / jnp.maximum(size, 1)
        found = {
            "loss": (nats, weights),
            "masked_accuracy": (correct, weights),
            "bits_per_byte": (bits, weights * size),
        }
        count = batch["token_mask"].sum(-1, keepdims=True)
        length, shorter = SHORTEST, 0
        while shorter < longest:
            chosen = weights * ((shorter < count) & (count <= length))
            found[f"bits_per_byte_to_{length}"] = (bits, chosen * size)
            found[f"masked_accuracy_to_{length}"] = (correct, chosen)
            length, shorter = 2 * length, length
        return found

    return compute


def length_bucket(count: int) -> int:
    """Returns the length under which metrics tell a text of `count` tokens."""
    length = SHORTEST
    while length < count:
        length *= 2
    return length


def show_fills(
    logits: np.ndarray, batch: Batch, *, tokens: tokenizer.Tokenizer, width: int = 60
) -> dict[str, str]:
    """Returns a table of texts: what was hidden, and what the model fills in.

    Each row has `width` tokens around the first hidden ones, those as underscores.
    """
    rows = ["| hidden | filled | true |", "| --- | --- | --- |"]
    for guess, labels, masked, valid in zip(
        logits.argmax(-1), batch["labels"], batch["masked"], batch["token_mask"]
    ):
        if not masked.any():
            continue
        start = max(0, int(masked.argmax()) - width // 3)
        part = slice(start, min(start + width, int(valid.sum())))
        labels, masked = labels[part], masked[part]
        filled = np.where(masked, guess[part], labels)
        hidden = [
            _hide(tokens.show(t)) if m else tokens.show(t)
            for t, m in zip(labels, masked)
        ]
        texts = (hidden, map(tokens.show, filled), map(tokens.show, labels))
        cells = ["".join(pieces).replace("|", "\\|") for pieces in texts]
        rows.append("| " + " | ".join(cells) + " |")
    return {"fills": "\n".join(rows)}


def _hide(shown: str) -> str:
    return " _" if shown[0] == " " else "_"
