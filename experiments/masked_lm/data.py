"""The text that a config's `data` describes.

documents -> {"tokens", "labels", "masked", "token_mask", "label_bytes"}, each [length]
"""

import dataclasses
import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from perceiver_jax.data import loader, sources, tfds
from perceiver_jax.data.text import corpus, masking, python_docs, tokenizer
from perceiver_jax.engine import sharding


class Corpora(NamedTuple):
    """Text to train on, and to evaluate on: set name -> documents."""

    train: loader.Mixture
    held_out: Mapping[str, sources.Source]


def load_corpora(data: config_dict.ConfigDict) -> Corpora:
    """Opens the corpora of a config.

    Raises:
      ValueError: lists of different lengths, a name twice, or an empty corpus.
      FileNotFoundError: it is not there, or not prepared; says how to prepare it.
    """
    fields = ("names", "weights", "train", "held_out")
    lengths = {f"data.{field}": len(data[field]) for field in fields}
    if len(set(lengths.values())) > 1 or not data.names:
        raise ValueError(f"These need one entry for each corpus, but have {lengths}.")
    titles = [title(name) for name in data.names]
    if len(set(titles)) < len(titles):
        raise ValueError(f"data.names={tuple(data.names)} must be names, each once.")
    parts = [
        SOURCES[data.source](data, *row)
        for row in zip(data.names, data.train, data.held_out)
    ]
    return Corpora(
        loader.Mixture([train for train, _ in parts], tuple(data.weights)),
        {name: held_out for name, (_, held_out) in zip(titles, parts)},
    )


def title(name: str) -> str:
    """Returns the set name of a corpus: "c4_en" for "c4/en"."""
    return re.sub(r"\W+", "_", name)


Split = tuple[sources.Source, sources.Source]  # to train on, and held out


def _tfds(data, name, train, held_out) -> Split:
    train, held_out = (
        tfds.text_source(name, split, data.dir or None) for split in (train, held_out)
    )
    return train, held_out


def _files(data, name, train, held_out) -> Split:
    del name
    train, held_out = (
        corpus.TextFiles(pattern, data.field, data.cache)
        for pattern in (train, held_out)
    )
    return train, held_out


def _python_docs(data, name, train, held_out) -> Split:
    """Python's own documentation; a tenth of the texts held out."""
    del data, name, train, held_out
    train, held_out = (
        [d for d in python_docs.documents() if d.is_held_out == side]
        for side in (False, True)
    )
    return _in_memory(train), _in_memory(held_out)


def _in_memory(documents):
    return corpus.in_memory([d.text for d in documents], [d.name for d in documents])


def _synthetic(data, name, train, held_out) -> Split:
    """Random words, to measure speed without data."""
    del data, name, train, held_out
    rng = np.random.default_rng(0)
    text = bytes(rng.choice(list(b"etaoin shrdlu "), 100_000).astype(np.uint8))
    noise = corpus.in_memory([text[start:] for start in range(16)], ["noise"] * 16)
    return noise, noise


SOURCES: dict[str, Callable[..., Split]] = {
    "tfds": _tfds,
    "files": _files,
    "python_docs": _python_docs,
    "synthetic": _synthetic,
}


def draw_texts(mixture: loader.Mixture, count: int, seed: int) -> Iterator[bytes]:
    """Yields the texts of about `count` documents, none twice."""
    rng = random.Random(seed)
    for source, weight in zip(mixture.sources, mixture.weights):
        share = round(count * weight / sum(mixture.weights))
        for index in rng.sample(range(len(source)), min(share, len(source))):
            yield source[index]["text"]


def make_tokenizer(config: config_dict.ConfigDict) -> tokenizer.Tokenizer:
    """Returns the tokenizer of a config.

    Raises:
      ValueError: the config's model is for another number of tokens.
      FileNotFoundError: there is no such file.
    """
    name, size = config.data.tokenizer, config.model.vocab_size
    tokens = tokenizer.make(name)
    if tokens.vocab_size != size:
        raise ValueError(
            f"data.tokenizer='{name}' has {tokens.vocab_size} tokens, but "
            f"model.vocab_size={size}: set both to one tokenizer's."
        )
    return tokens


def train_loader(
    config: config_dict.ConfigDict, train: loader.Mixture, tokens: tokenizer.Tokenizer
) -> loader.TrainLoader:
    """Returns the batches to train on."""
    data = config.data
    return loader.TrainLoader(
        train,
        Crop(make_hide(data, tokens)),
        config.batch_size,
        config.seed,
        group_size=data.documents,
        num_workers=data.num_workers,
        **sharding.this_process(),
    )


def eval_loader(
    config: config_dict.ConfigDict,
    documents: sources.Source,
    tokens: tokenizer.Tokenizer,
) -> loader.EvalLoader:
    """Returns the batches to evaluate on, of the first documents."""
    data = config.data
    return loader.EvalLoader(
        sources.Subset(documents, range(min(len(documents), data.max_held_out))),
        Begin(make_hide(data, tokens), config.seed),
        config.eval_batch_size,
        **sharding.this_process(),
    )


def make_hide(data: config_dict.ConfigDict, tokens: tokenizer.Tokenizer) -> "Hide":
    """Returns what hides tokens of a text as a config says."""
    masks: dict[str, masking.Masking] = {
        "words": masking.WholeWords(tokens, data.mask_rate),
        "tokens": masking.SingleTokens(data.mask_rate),
    }
    return Hide(tokens, masks[data.masking], data.length)


@dataclasses.dataclass(frozen=True)
class Hide:
    """Takes the first `length` tokens of a text, and hides some of them."""

    tokens: tokenizer.Tokenizer
    mask: masking.Masking
    length: int

    @property
    def num_bytes(self) -> int:
        """Of a text: as many are sure to fill `length` tokens."""
        return self.length * self.tokens.bytes_per_token

    def __call__(self, text: bytes, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Maps a text of at most num_bytes to arrays [length]."""
        found = self.tokens.encode(text)[: self.length]
        labels, valid = tokenizer.pad(found, self.length)
        masked = np.zeros(self.length, bool)
        masked[: len(found)] = self.mask(found, rng)
        return {
            "tokens": np.where(masked, tokenizer.MASK, labels).astype(np.int32),
            "labels": labels,
            "masked": masked,
            "token_mask": valid,
            # Those that are no white space; said here, so that metrics of the model
            # need no tokenizer.
            "label_bytes": self.tokens.word_bytes[labels],
        }


@dataclasses.dataclass(frozen=True)
class Crop:
    """Joins documents, and hides tokens of a part from somewhere in them."""

    hide: Hide

    def __call__(
        self, documents: Sequence[sources.Example], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Maps documents to the arrays of `Hide`."""
        text = corpus.SEPARATOR.join(d["text"] for d in documents if d["text"])
        start = rng.integers(max(0, len(text) - self.hide.num_bytes) + 1)
        return self.hide(text[start : start + self.hide.num_bytes], rng)


@dataclasses.dataclass(frozen=True)
class Begin:
    """Hides tokens of a document's beginning; which ones depends on it alone."""

    hide: Hide
    seed: int

    def __call__(self, document: sources.Example) -> dict[str, np.ndarray]:
        """Maps a document to the arrays of `Hide`."""
        text = document["text"]
        rng = np.random.default_rng([self.seed, zlib.crc32(text)])
        return self.hide(text[: self.hide.num_bytes], rng)
