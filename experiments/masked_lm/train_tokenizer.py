r"""Trains a SentencePiece tokenizer on the text of a masked language model's config.

    python -m experiments.masked_lm.train_tokenizer --out=sentencepiece.model \
        --config=configs/masked_lm.py:sentencepiece --config.data.dir=DATA

It has model.vocab_size pieces, learned from documents of the training corpora, in the
shares of their weights. Use it with --config.data.tokenizer=FILE.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags
from ml_collections import config_flags

from experiments import build, program
from experiments.masked_lm.data import draw_texts, load_corpora
from perceiver_jax.data.text import tokenizer

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE:VARIANT, such as configs/masked_lm.py:sentencepiece."
)
_OUT = flags.DEFINE_string("out", None, "File to write.")
_DOCUMENTS = flags.DEFINE_integer(
    "documents", 1_000_000, "Documents, or spans of files, to learn from.", 1
)


def main(_: Sequence[str]) -> None:
    config = _CONFIG.value
    if config is None or not _OUT.value:
        raise app.UsageError("Say --config=FILE:VARIANT and --out=FILE.")
    out = pathlib.Path(_OUT.value)
    if out.exists():
        raise ValueError(f"{out} is there already: choose another --out.")
    build.check(config)
    corpora = load_corpora(config.data)
    texts = draw_texts(corpora.train, _DOCUMENTS.value, config.seed)
    out.write_bytes(tokenizer.train(texts, config.model.vocab_size))
    tokens = tokenizer.make(str(out))
    print(f"{out}: {tokens.name}")
    for name, documents in corpora.held_out.items():
        text = b"".join(documents[i]["text"] for i in range(min(100, len(documents))))
        ratio = len(text) / max(1, len(tokens.encode(text)))
        print(f"{name}: {ratio:.2f} bytes a piece, on held-out text")


if __name__ == "__main__":
    program.run(main)
