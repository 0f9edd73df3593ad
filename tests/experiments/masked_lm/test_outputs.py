"""The numbers and texts of a masked language model."""

import jax
import numpy as np
from scipy.special import log_softmax

from experiments.masked_lm import outputs
from perceiver_jax.data.text import tokenizer
from perceiver_jax.engine.metrics import Mean, sums

BYTES = tokenizer.Bytes()


def test_metrics_are_of_masked_tokens_and_count_bytes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 100, 5)).astype(np.float32)
    labels = rng.integers(0, 5, (3, 100))
    valid = np.arange(100) < [[100], [30], [70]]
    masked = (rng.random((3, 100)) < 0.5) & valid
    word_bytes = np.array([0, 1, 2, 3, 4])
    batch = {
        "labels": labels,
        "masked": masked,
        "token_mask": valid,
        "label_bytes": word_bytes[labels],
        "mask": np.array([1.0, 1.0, 0.0]),  # the third is padding
    }
    compute = outputs.Metrics(longest=100)
    mean = Mean()
    mean.add(jax.device_get(sums(compute(logits, batch))))
    found = mean.result()

    nats = -np.take_along_axis(log_softmax(logits, -1), labels[..., None], -1)[..., 0]
    used = masked[:2]

    def bits_per_byte(rows):
        size = word_bytes[labels[rows]]
        chosen = masked[rows] & (size > 0)
        return (nats[rows] / np.log(2))[chosen].sum() / size[chosen].sum()

    np.testing.assert_allclose(found["loss"], nats[:2][used].mean(), rtol=1e-5)
    correct = (logits.argmax(-1) == labels)[:2]
    np.testing.assert_allclose(found["masked_accuracy"], correct[used].mean())
    for name, rows in (("", [0, 1]), ("_to_32", [1]), ("_to_128", [0])):
        np.testing.assert_allclose(
            found[f"bits_per_byte{name}"], bits_per_byte(rows), rtol=1e-5
        )
    assert "bits_per_byte_to_256" not in found


def test_fills_show_what_was_hidden_and_said():
    labels = BYTES.encode(b"a cat | sat")[None]
    masked = np.isin(np.arange(labels.shape[1]), [2, 3, 4])[None]
    logits = np.eye(262)[BYTES.encode(b"a dog | sat")][None]
    batch = {"labels": labels, "masked": masked, "token_mask": np.ones_like(masked)}
    table = outputs.Fills(BYTES)(logits, batch)["fills"]
    assert table.splitlines()[2] == r"| a ___ \| sat | a dog \| sat | a cat \| sat |"


def test_filled_spaces_are_seen():
    labels = BYTES.encode(b"a cat")[None]
    masked = np.isin(np.arange(5), [1, 2])[None]
    logits = np.eye(262)[BYTES.encode(b"a  at")][None]
    batch = {"labels": labels, "masked": masked, "token_mask": np.ones_like(masked)}
    table = outputs.Fills(BYTES)(logits, batch)["fills"]
    assert table.splitlines()[2] == "| a__at | a␣␣at | a cat |"
