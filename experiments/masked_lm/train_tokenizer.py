r"""Trains a SentencePiece tokenizer on the text of a masked language model's config.

    python -m experiments.masked_lm.train_tokenizer --out=sentencepiece.model \
        --config=configs/masked_lm.py:sentencepiece --config.data.dir=DATA

It has model.vocab_size pieces, learned from documents of the training corpora, in the
shares of their weights. Use it with --config.data.tokenizer=FILE.
"""

import pathlib
import random
from collections.abc import Iterator

from absl import app, flags
from ml_collections import config_flags

from experiments.masked_lm import data as corpora
from perceiver_jax.data import loader
from perceiver_jax.data.text import tokenizer

_CONFIG = config_flags.DEFINE_config_file("config", "configs/masked_lm.py:docs")
_OUT = flags.DEFINE_string("out", None, "File to write.", required=True)
_DOCUMENTS = flags.DEFINE_integer(
    "documents", 1_000_000, "Documents, or spans of files, to learn from.", 1
)


def draw(mixture: loader.Mixture, count: int, seed: int) -> Iterator[bytes]:
    """Yields the texts of about `count` documents, none twice."""
    rng = random.Random(seed)
    for source, weight in zip(mixture.sources, mixture.weights):
        share = round(count * weight / sum(mixture.weights))
        for index in rng.sample(range(len(source)), min(share, len(source))):
            yield source[index]["text"]


def main(_) -> None:
    config, out = _CONFIG.value, pathlib.Path(_OUT.value)
    if out.exists():
        raise app.UsageError(f"{out} is there already: choose another --out.")
    corpus = corpora.load(config.data)
    texts = draw(corpus.train, _DOCUMENTS.value, config.seed)
    out.write_bytes(tokenizer.train(texts, config.model.vocab_size))
    tokens = tokenizer.make(str(out))
    print(f"{out}: {tokens.name}")
    for name, documents in corpus.held_out.items():
        text = b"".join(documents[i]["text"] for i in range(min(100, len(documents))))
        ratio = len(text) / max(1, len(tokens.encode(text)))
        print(f"{name}: {ratio:.2f} bytes a piece, on held-out text")


if __name__ == "__main__":
    app.run(main)
