r"""A masked language model beside a byte bigram, on the same hidden bytes.

    python -m experiments.masked_lm.bigram --workdir=/tmp/docs

The bigram knows the byte before each hidden one even where that is hidden too, which
the model does not; its counts are of the training text. Also shows what the model
fills in.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from absl import flags

from experiments import restore
from experiments.masked_lm import data, outputs
from perceiver_jax.data import loader
from perceiver_jax.data.text.tokenizer import Tokenizer
from perceiver_jax.engine.evaluation import Evaluator
from perceiver_jax.engine.task import Batch

_DOCUMENTS = flags.DEFINE_integer(
    "documents", 10_000, "Documents of each corpus to count bigrams in.", 1
)
SMOOTHING = 0.1  # of a count, added to each
NEWLINE = ord("\n")  # stands before a text


def count_bigrams(train: loader.Mixture, documents: int) -> np.ndarray:
    """Returns log2 P(byte | byte before), [before, byte]; counts times the weights."""
    shares = np.zeros((256, 256))
    for source, weight in zip(train.sources, train.weights):
        counts = np.zeros(256 * 256)
        for index in range(min(documents, len(source))):
            text = np.frombuffer(b"\n" + source[index]["text"], np.uint8).astype(int)
            counts += np.bincount(256 * text[:-1] + text[1:], minlength=256 * 256)
        shares += weight * counts.reshape(256, 256)
    shares += SMOOTHING
    return np.log2(shares / shares.sum(-1, keepdims=True))


def bits_of_bigram(
    log2_shares: np.ndarray, batches: Iterable[Batch], tokens: Tokenizer
) -> dict[str, float]:
    """Returns bits per byte of hidden bytes that are no white space.

    Args:
      log2_shares: of `count_bigrams`.
      batches: of masked_lm's evaluation.
      tokens: what made them.

    Returns:
      Numbers named as those of outputs.Metrics.
    """
    sums: dict[str, np.ndarray] = {}
    for batch in batches:
        for row in np.flatnonzero(batch["mask"]):
            valid = batch["token_mask"][row]
            pieces = [tokens.pieces[t] for t in batch["labels"][row][valid]]
            hidden = np.repeat(batch["masked"][row][valid], [len(p) for p in pieces])
            text = np.frombuffer(b"".join(pieces), np.uint8)
            before = np.append(np.uint8(NEWLINE), text[:-1])
            counted = hidden & ~np.isin(text, list(b" \t\n\r\v\f"))
            bits = -log2_shares[before, text][counted]
            for name in ("", f"_to_{outputs.length_bucket(int(valid.sum()))}"):
                total = sums.setdefault(f"bits_per_byte{name}", np.zeros(2))
                total += bits.sum(), bits.size
    return {name: bits / size for name, (bits, size) in sums.items() if size}


def main(restored: restore.Restored, _: Sequence[str]) -> None:
    config = restored.config
    task, forward = restored.make_task()
    tokens = data.make_tokenizer(config)
    table = count_bigrams(data.load_corpora(config.data).train, _DOCUMENTS.value)
    evaluator = Evaluator(task, forward, restored.parallel)
    found = evaluator(restored.variables).metrics
    for name, evaluation in task.evaluations.items():
        print_table(name, found, bits_of_bigram(table, evaluation.batches(), tokens))
    for title, text in evaluator.samples(restored.variables).texts.items():
        print(f"\n{title}\n{text}")


def print_table(
    name: str, model: Mapping[str, float], bigram: Mapping[str, float]
) -> None:
    """Prints both, for all texts and by their length."""
    print(f"{name:20} {'model':>8} {'bigram':>8}   bits per hidden byte")
    for key, bits in sorted(bigram.items(), key=lambda item: len(item[0])):
        title = key.removeprefix("bits_per_byte").replace("_to_", "up to ") or "all"
        print(f"{title:20} {model[f'{name}/{key}']:8.3f} {bits:8.3f}")


if __name__ == "__main__":
    restore.run(main)
