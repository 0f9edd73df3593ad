"""Masked language modelling: from documents to batches."""

import collections
import re

import numpy as np
import pytest
import small_text

from configs import masked_lm as configs
from experiments import build
from experiments.masked_lm import data
from perceiver_jax.data import loader
from perceiver_jax.data.text import corpus, masking, tokenizer

TEXTS = [b"the cat sat on the mat. " * n for n in (1, 5, 30)]
BYTES = tokenizer.Bytes()


@pytest.fixture
def files(tmp_path):
    """Fields of a corpus of files, one held out."""
    for name in ("train_a", "train_b", "test"):
        (tmp_path / f"{name}.txt").write_bytes(b"\n".join(TEXTS) + name.encode())
    return {
        "data.source": "files",
        "data.names": ("files",),
        "data.train": (f"{tmp_path}/train_*.txt",),
        "data.held_out": (f"{tmp_path}/test.txt",),
        "data.documents": 2,
    }


def test_documents_are_joined_and_cropped():
    crop = data.Crop(data.Hide(BYTES, masking.WholeWords(BYTES, 0.5), 8))
    documents = [{"text": text} for text in (b"aa bb", b"", b"cc dd")]
    seen = set()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        found = crop(documents, rng)
        text = BYTES.decode(found["labels"])
        assert text in b"aa bb\n\ncc dd" and len(text) == 8
        seen.add(text)
        masked = found["masked"]
        np.testing.assert_array_equal(
            found["tokens"], np.where(masked, tokenizer.MASK, found["labels"])
        )
        assert found["token_mask"].all()
    assert len(seen) == 5  # every place
    short = crop(documents[:1], rng)
    assert short["token_mask"].sum() == 5 and not short["masked"][5:].any()
    assert (short["labels"][5:] == tokenizer.PAD).all()


def test_what_is_hidden_in_evaluation_depends_on_the_text_alone():
    hide = data.Hide(BYTES, masking.WholeWords(BYTES, 0.5), 600)
    begin = data.Begin(hide, seed=0)
    first, again, other = (
        begin({"text": text}) for text in (*TEXTS[1:2] * 2, TEXTS[2])
    )
    np.testing.assert_array_equal(first["masked"], again["masked"])
    size = first["token_mask"].sum()
    assert (first["masked"] != other["masked"])[:size].any()
    assert BYTES.decode(other["labels"]) == TEXTS[2][:600]


def test_the_train_stream_is_a_function_of_seed_and_step(files):
    def batches(start, **fields):
        config = small_text.masked_lm_config(**files, **fields)
        return build.make_task(config).train.batches(start, 10)

    run = batches(0)
    expected = [next(run) for _ in range(6)]
    resumed = batches(4)
    for batch in expected[4:]:
        found = next(resumed)
        for name in batch:
            np.testing.assert_array_equal(found[name], batch[name])
    other = next(batches(4, seed=1))
    assert (other["labels"] != expected[4]["labels"]).any()


def test_an_epoch_is_as_many_examples_as_documents_make(files):
    for documents, expected in ((1, 2), (2, 1), (10, 1)):
        fields = files | {"data.documents": documents}
        task = build.make_task(small_text.masked_lm_config(**fields))
        assert task.train.num_examples == expected


def test_corpora_are_mixed_by_tokens(tmp_path):
    for name, letter in (("a", b"a"), ("b", b"b")):
        (tmp_path / f"{name}.txt").write_bytes((letter * 9 + b"\n") * 1000)
    patterns = tuple(f"{tmp_path}/{name}.txt" for name in "ab")
    config = small_text.masked_lm_config(
        **{"data.source": "files", "data.names": ("a", "b"), "data.weights": (0.7, 0.3)}
    )
    config.data.train = config.data.held_out = patterns
    config.batch_size = 50
    task = build.make_task(config)
    labels = [next(task.train.batches(step, 10))["labels"] for step in range(4)]
    text = BYTES.decode(np.concatenate(labels).ravel())
    share = text.count(b"a") / (text.count(b"a") + text.count(b"b"))
    assert abs(share - 0.7) < 0.01
    assert list(task.evaluations) == ["a", "b"]


def test_texts_are_drawn_by_weight_and_none_twice():
    sources = [
        corpus.in_memory([b"%s%d" % (name, n) for n in range(100)], ["x"] * 100)
        for name in (b"a", b"b")
    ]
    mixture = loader.Mixture(sources, (0.75, 0.25))
    texts = list(data.draw_texts(mixture, 40, seed=0))
    assert len(set(texts)) == 40
    assert collections.Counter(text[:1] for text in texts) == {b"a": 30, b"b": 10}
    assert texts == list(data.draw_texts(mixture, 40, seed=0))
    assert texts != list(data.draw_texts(mixture, 40, seed=1))
    assert len(list(data.draw_texts(mixture, 4000, seed=0))) == 200  # all


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.train", ("nowhere/*",), "no file matches 'nowhere/*'"),
        ("data.weights", (0.5, 0.5), "one entry for each corpus"),
        ("data.names", ("a", "b"), "one entry for each corpus"),
        (
            "data.length",
            49,
            "data.length=49 must be from 1 to the model's number of "
            "positions, model.max_length=48",
        ),
        ("data.tokenizer", "no.model", "no.model is no file; train a tokenizer"),
        ("model.vocab_size", 300, "has 262 tokens, but model.vocab_size=300"),
    ],
)
def test_data_that_does_not_fit_is_refused(files, field, value, message):
    config = small_text.masked_lm_config(**files)
    config.update_from_flattened_dict({field: value})
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        build.make_task(config)


def test_two_corpora_of_one_name_are_refused(files):
    config = small_text.masked_lm_config(**files)
    config.data.update(
        names=("c4/en", "c4:en"),
        weights=(0.5, 0.5),
        train=2 * config.data.train,
        held_out=2 * config.data.held_out,
    )
    with pytest.raises(ValueError, match="must be names, each once"):
        build.make_task(config)


def test_text_of_tfds_is_mixed(tmp_path, monkeypatch):
    """Names and splits of the default config, with TFDS's text in memory."""
    opened = []

    def text_source(name, split, data_dir):
        opened.append((name, split, data_dir))
        return corpus.in_memory([b"text"] * 3, ["x"] * 3)

    monkeypatch.setattr(data.tfds, "text_source", text_source)
    config = configs.get_config("bytes")
    config.data.dir = "DATA"
    found = data.load_corpora(config.data)
    assert opened == [
        ("c4/en", "train", "DATA"),
        ("c4/en", "validation", "DATA"),
        ("wikipedia/20230601.en", "train[:99%]", "DATA"),
        ("wikipedia/20230601.en", "train[99%:]", "DATA"),
    ]
    assert found.train.weights == (0.7, 0.3)
    assert list(found.held_out) == ["c4_en", "wikipedia_20230601_en"]


def test_variants_and_sweep():
    with pytest.raises(ValueError, match="'words' is unknown; .* has bytes, sentence"):
        configs.get_config("words")
    for point in configs.sweep():
        configs.get_config("bytes").update_from_flattened_dict(point)
