"""Text with [MASK] filled in, by a model that was trained for two steps."""

import jax
import numpy as np
import pytest
import scipy.special

from experiments import build, predict, restore
from experiments.predicting import Folder
from perceiver_jax.data.text import tokenizer
from perceiver_jax.engine.task import Identity

BYTES = tokenizer.Bytes()


@pytest.fixture(scope="module")
def restored(pretrained_text):
    return restore.load(pretrained_text)


def predict_all(restored, files=(), lines=(), folder=None, attention=False, **options):
    """The predictor, and what it says of all inputs."""
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    arguments = (files, lines, folder, attention)
    return predictor, list(predict.predict(restored, predictor, *arguments))


def test_masks_are_filled_with_what_is_most_probable(restored, tmp_path):
    folder = Folder(tmp_path)
    text = "A [MASK]at[MASK]"
    _, (found,) = predict_all(restored, text=(text,), folder=folder, top=3)
    task, forward = restored.make_task()
    tokens = BYTES.encode_masked(text.encode())
    batch = {"tokens": tokens[None], "token_mask": np.ones((1, len(tokens)), bool)}
    apply = jax.jit(forward.apply, static_argnums=4)
    logits = apply(*restored.whole_variables, None, batch, False)[0][0]
    shares = scipy.special.softmax(np.asarray(logits, np.float64), -1)
    filled = list(tokens)
    assert [mask["position"] for mask in found.record["masks"]] == [2, 5]
    for mask in found.record["masks"]:
        row = shares[mask["position"]]
        best = 6 + np.argsort(-row[6:])[:3]
        assert [answer["token"] for answer in mask["top"]] == list(best)
        for answer in mask["top"]:
            share = row[answer["token"]]
            assert answer["probability"] == pytest.approx(share, rel=1e-3)
        filled[mask["position"]] = best[0]
    raw = bytes(token - 6 for token in filled)
    assert found.record["text"] == raw.decode(errors="replace")
    assert (tmp_path / "text_1.txt").read_text() == found.record["text"]


def test_answers_are_called_bytes_and_spaces_are_seen(restored):
    predictor = build.make_predictor(restored.config, restored.identity)
    top = [
        {"token": 38, "text": " ", "probability": 0.5},
        {"token": 107, "text": "e", "probability": 0.25},
    ]
    record = {
        "input": "text 1",
        "text": "a b\n",
        "masks": [{"position": 1, "top": top}],
    }
    words = predictor.describe(record)
    assert words == "text 1: a b\\n\n  byte 1: ␣ 50.0%, e 25.0%"


def test_a_bad_input_is_the_error_of_that_input_alone(restored, tmp_path):
    files = [tmp_path / f"{name}.txt" for name in ("bytes", "none", "long", "gone")]
    files[0].write_bytes(b"a\xffb[MASK]")
    files[1].write_bytes(b"no mask here")
    files[2].write_bytes(b"[MASK]" + 60 * b"x")
    lines = [b"a good [MASK]"]
    _, found = predict_all(restored, files, lines)
    errors = [str(prediction.error) for prediction in found]
    assert "bytes.txt is no valid UTF-8: invalid start byte at byte 1." in errors[0]
    assert "none.txt has no [MASK] to fill." in errors[1]
    assert "long.txt has 61 bytes, the model takes 48: use --window" in errors[2]
    assert "gone.txt" in errors[3]
    assert found[4].error is None and found[4].record["input"] == "line 1"


def test_long_text_is_filled_in_windows(restored):
    line = b"[MASK]" + 60 * b"x" + b"[MASK]"
    _, (found,) = predict_all(restored, lines=[line], window=True)
    assert [mask["position"] for mask in found.record["masks"]] == [0, 61]
    assert "x" * 60 in found.record["text"]


def test_attention_is_arrays_and_a_page(restored, tmp_path):
    options = {"folder": Folder(tmp_path), "attention": True}
    _, (found,) = predict_all(restored, lines=[b"A [MASK]at[MASK]"], **options)
    arrays, page = found.record["attention"]
    with np.load(arrays) as maps:
        assert maps["encoder"].shape == (1, 4, 6)  # heads, latents, bytes
        assert maps["decoder"].shape == (1, 6, 4)
        np.testing.assert_allclose(maps["encoder"].sum(-1), 1, rtol=1e-3)
    with open(page) as file:
        text = file.read()
    assert text.count("<p>") == 2 + 4  # masks, latents
    assert "Byte 2 is filled looking at" in text
    with pytest.raises(FileExistsError, match="line_1.txt is there already"):
        predict_all(restored, lines=[b"[MASK]"], folder=Folder(tmp_path))


def test_another_tokenizer_than_that_of_training_is_refused(restored):
    other = Identity(vocabulary="sentencepiece of 800 pieces")
    with pytest.raises(
        ValueError, match="was trained with the tokenizer 'sentencepiece of 800 pieces'"
    ):
        build.make_predictor(restored.config, other)
