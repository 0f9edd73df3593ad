"""Masked language modelling: the data, the metrics, the models, and the task whole."""

import functools
import re

import haiku as hk
import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from configs import masked_lm as configs
from experiments import build
from experiments.masked_lm import data as corpora
from experiments.masked_lm import model as text_model
from experiments.masked_lm import task as masked_lm
from perceiver_jax.data.text import corpus, masking, tokenizer
from perceiver_jax.engine.metrics import Mean, sums
from scripts import paper_tables

TEXTS = [b"the cat sat on the mat. " * n for n in (1, 5, 30)]
BYTES = tokenizer.Bytes()


def small_config(**fields):
    """The docs variant at a size that compiles in seconds, on files of text."""
    config = configs.get_config("docs")
    config.batch_size = 4
    config.eval_batch_size = 4
    config.data.length = 48
    config.model.update(
        max_length=48, input_channels=16, num_latents=4, layers_per_block=1
    )
    config.model.update(
        latent_channels=16, qk_channels=16, v_channels=16, decoder_v_channels=16
    )
    config.update_from_flattened_dict(fields)
    return config


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


# Data


def test_documents_are_joined_and_cropped():
    mask = masking.WholeWords(BYTES, 0.5)
    documents = [{"text": text} for text in (b"aa bb", b"", b"cc dd")]
    seen = set()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        found = masked_lm.crop(documents, rng, tokens=BYTES, mask=mask, length=8)
        text = BYTES.decode(found["labels"])
        assert text in b"aa bb\n\ncc dd" and len(text) == 8
        seen.add(text)
        masked = found["masked"]
        np.testing.assert_array_equal(
            found["tokens"], np.where(masked, tokenizer.MASK, found["labels"])
        )
        assert found["token_mask"].all()
    assert len(seen) == 5  # every place
    short = masked_lm.crop(documents[:1], rng, tokens=BYTES, mask=mask, length=8)
    assert short["token_mask"].sum() == 5 and not short["masked"][5:].any()
    assert (short["labels"][5:] == tokenizer.PAD).all()


def test_what_is_hidden_in_evaluation_depends_on_the_text_alone():
    mask = masking.WholeWords(BYTES, 0.5)
    begin = functools.partial(
        masked_lm.begin_document, tokens=BYTES, mask=mask, length=600, seed=0
    )
    first, again, other = (
        begin({"text": text}) for text in (*TEXTS[1:2] * 2, TEXTS[2])
    )
    np.testing.assert_array_equal(first["masked"], again["masked"])
    size = first["token_mask"].sum()
    assert (first["masked"] != other["masked"])[:size].any()
    assert BYTES.decode(other["labels"]) == TEXTS[2][:600]


def test_the_train_stream_is_a_function_of_seed_and_step(files):
    def batches(start, **fields):
        config = small_config(**files, **fields)
        return build.make_task(config).train_data(start)

    run = batches(0)
    expected = [next(run) for _ in range(6)]
    resumed = batches(4)
    for batch in expected[4:]:
        found = next(resumed)
        for name in batch:
            np.testing.assert_array_equal(found[name], batch[name])
    other = next(batches(4, seed=1))
    assert (other["labels"] != expected[4]["labels"]).any()


def test_corpora_are_mixed_by_tokens(tmp_path):
    for name, letter in (("a", b"a"), ("b", b"b")):
        (tmp_path / f"{name}.txt").write_bytes((letter * 9 + b"\n") * 1000)
    patterns = tuple(f"{tmp_path}/{name}.txt" for name in "ab")
    config = small_config(
        **{"data.source": "files", "data.names": ("a", "b"), "data.weights": (0.7, 0.3)}
    )
    config.data.train = config.data.held_out = patterns
    config.batch_size = 50
    task = build.make_task(config)
    labels = [next(iter(task.train_data(step)))["labels"] for step in range(4)]
    text = BYTES.decode(np.concatenate(labels).ravel())
    share = text.count(b"a") / (text.count(b"a") + text.count(b"b"))
    assert abs(share - 0.7) < 0.01
    assert list(task.eval_data) == ["a", "b"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.source", "file", "data.source='file' is unknown: use tfds, files"),
        ("data.train", ("nowhere/*",), "no file matches 'nowhere/*'"),
        ("data.weights", (0.5, 0.5), "one entry for each corpus"),
        ("data.names", ("a", "b"), "one entry for each corpus"),
        ("data.masking", "letters", "data.masking='letters' is unknown: use words"),
        ("data.mask_rate", 1.5, "data.mask_rate=1.5 must be between 0 and 1"),
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
def test_wrong_configs_are_refused(files, field, value, message):
    config = small_config(**files)
    config.update_from_flattened_dict({field: value})
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        build.make_task(config)


def test_two_corpora_of_one_name_are_refused(files):
    config = small_config(**files)
    config.data.update(
        names=("c4/en", "c4:en"),
        weights=(0.5, 0.5),
        train=2 * config.data.train,
        held_out=2 * config.data.held_out,
    )
    with pytest.raises(ValueError, match="must be names, each once"):
        build.make_task(config)


# Metrics


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
        "mask": np.array([1.0, 1.0, 0.0]),  # the third is padding
    }
    compute = masked_lm.make_metrics(word_bytes, 100)
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
    table = masked_lm.show_fills(logits, batch, tokens=BYTES)["fills"]
    assert table.splitlines()[2] == r"| a ___ \| sat | a dog \| sat | a cat \| sat |"


# Models


def perceiver_flops(length, vocabulary, channels, latents, width, layers):
    """By hand: multiplies and adds of every matrix product, for one text."""
    qk = 256

    def linear(rows, inputs, outputs):
        return 2 * rows * inputs * outputs

    def attention(queries, keys, value):
        return 2 * queries * keys * (qk + value)

    def block(queries, size, keys, key_size, value):
        return (
            linear(queries, size, qk)
            + linear(keys, key_size, qk)
            + linear(keys, key_size, value)
            + attention(queries, keys, value)
            + linear(queries, value, size)
            + 2 * linear(queries, size, size)
        )

    return (
        block(latents, width, length, channels, width)
        + layers * block(latents, width, latents, width, width)
        + block(length, channels, latents, width, channels)
        + linear(length, channels, vocabulary)
    )


def bert_flops(length, vocabulary, width, layers):
    """By hand: 12 products of width by width a token and layer, and attention."""
    per_layer = 2 * length * 12 * width**2 + 4 * length**2 * width
    return layers * per_layer + 2 * length * width * vocabulary


@pytest.mark.parametrize(
    ("variant", "parameters", "flops"),
    [
        ("bytes", 201_108_230, perceiver_flops(2048, 262, 768, 256, 1280, 26)),
        ("sentencepiece", 223e6, perceiver_flops(512, 32_000, 768, 256, 1280, 26)),
        ("bytes_plus_plus", 425e6, perceiver_flops(2048, 262, 768, 256, 1536, 40)),
        ("bert_base", 110e6, bert_flops(512, 32_000, 768, 12)),
        ("bert_bytes", 20e6, bert_flops(2048, 262, 512, 6)),
    ],
)
def test_models_have_the_size_of_table_1(variant, parameters, flops):
    found_parameters, found_flops, _ = paper_tables.language_cost(variant)
    tolerance = 0 if variant == "bytes" else 0.01
    assert abs(found_parameters / parameters - 1) <= tolerance
    assert abs(found_flops / flops - 1) < 0.02


@pytest.mark.parametrize("kind", ["perceiver", "transformer"])
def test_padding_changes_no_valid_output(kind):
    """Whatever stands behind the mask."""
    config = small_config(**{"model.kind": kind})
    forward = hk.transform(text_model.make_forward(config.model))
    rng = np.random.default_rng(0)
    tokens = rng.integers(6, 262, (2, 48))
    valid = np.arange(48) < [[48], [20]]
    init, apply = (
        jax.jit(f, static_argnames="is_training") for f in (forward.init, forward.apply)
    )
    batch = {"tokens": tokens, "token_mask": valid}
    params = init(jax.random.key(0), batch, is_training=False)
    found = [
        np.asarray(apply(params, None, batch | {"tokens": t}, is_training=False))
        for t in (tokens, np.where(valid, tokens, rng.integers(0, 262, (2, 48))))
    ]
    np.testing.assert_array_equal(found[0][valid], found[1][valid])
    short = {"tokens": tokens[1:, :20], "token_mask": valid[1:, :20]}
    alone = apply(params, None, short, is_training=False)
    np.testing.assert_allclose(found[0][1, :20], alone[0], atol=1e-5)


# The corpora of configs


def test_text_of_tfds_is_mixed(tmp_path, monkeypatch):
    """Names and splits of the default config, with TFDS's text in memory."""
    opened = []

    def text_source(name, split, data_dir):
        opened.append((name, split, data_dir))
        return corpus.in_memory([b"text"] * 3, ["x"] * 3)

    monkeypatch.setattr(corpora.tfds, "text_source", text_source)
    config = configs.get_config("bytes")
    config.data.dir = "DATA"
    found = corpora.load(config.data)
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
