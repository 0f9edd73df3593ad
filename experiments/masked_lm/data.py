"""The text that a config's `data` describes."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from perceiver_jax.data import loader, sources, tfds
from perceiver_jax.data.text import corpus, python_docs


class Corpora(NamedTuple):
    """Text to train on, and to evaluate on: set name -> documents."""

    train: loader.Mixture
    held_out: Mapping[str, sources.Source]


def load(data: config_dict.ConfigDict) -> Corpora:
    """Opens the corpora of a config.

    Raises:
      ValueError: an unknown source, lists of different lengths, or an empty corpus.
      FileNotFoundError: it is not there, or not prepared; says how to prepare it.
    """
    check_known("data.source", data.source, SOURCES)
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
