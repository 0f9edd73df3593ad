"""Classifying texts: GLUE in its true formats, all readouts, errors."""

import functools
import json
import pathlib

import fake_glue
import haiku as hk
import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from configs import glue as glue_configs
from configs import masked_lm as pretraining
from configs import text_classification
from experiments import build, launch, predict, restore
from experiments import predicting as predictors
from experiments.glue import data as text_tasks
from experiments.glue import task as glue
from experiments.masked_lm import model as text_model
from perceiver_jax.data.text import python_docs, tokenizer
from perceiver_jax.engine import checkpoint, evaluation

SMALL = {
    "batch_size": 8,
    "eval_batch_size": 8,
    "epochs": 0.0,
    "steps": 2,
    "log_every": 1,
    "optimizer.schedule": "constant",
    "data.length": 48,
    "model.max_length": 48,
    "model.input_channels": 16,
    "model.num_latents": 4,
    "model.layers_per_block": 1,
    "model.latent_channels": 16,
    "model.qk_channels": 16,
    "model.v_channels": 16,
    "model.decoder_v_channels": 16,
}


def small_config(variant="multitask_query", **fields):
    config = glue_configs.get_config(f"{variant},docs")
    config.precision = "params=float32,compute=float32,output=float32"
    config.update_from_flattened_dict(SMALL | {"data.source": "tsv"} | fields)
    return config


@pytest.fixture(scope="module")
def tsv(tmp_path_factory):
    """The official files of all eight tasks, with a few examples each."""
    folder = tmp_path_factory.mktemp("glue")
    fake_glue.write_tsv(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tfds(tmp_path_factory):
    """Two tasks as TFDS prepares them."""
    folder = tmp_path_factory.mktemp("tfds")
    fake_glue.write_tfds(folder, ("mnli", "stsb"))
    return str(folder)


# The whole way, on the true formats


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tsv):
    """The workdir of a short run on all tasks at once."""
    workdir = tmp_path_factory.mktemp("run")
    launch.train(small_config(**{"data.dir": tsv}), workdir)
    return workdir


def test_metrics_are_those_of_scikit_learn_and_scipy(trained):
    restored = restore.load(trained)
    results = evaluation.make_evaluate(*restored.make_task(), restored.parallel)(
        restored.variables
    )
    assert len(results.predictions) == 9  # MNLI has two
    main = {}
    for name, found in results.predictions.items():
        task, label, guess = name.split("_")[0], found["label"], found["predicted"]
        assert len(label) == 5
        if task == "stsb":
            expected = {
                "pearson": scipy.stats.pearsonr(label, guess)[0],
                "spearman": scipy.stats.spearmanr(label, guess)[0],
            }
        elif task == "cola":
            expected = {"matthews": sklearn.metrics.matthews_corrcoef(label, guess)}
        else:
            expected = {"accuracy": sklearn.metrics.accuracy_score(label, guess)}
            if task in ("mrpc", "qqp"):
                expected["f1"] = sklearn.metrics.f1_score(label, guess, zero_division=0)
        for metric, value in expected.items():
            assert results.metrics[f"{name}/{metric}"] == pytest.approx(value, abs=1e-6)
        main.setdefault(task, []).append(next(iter(expected.values())))
    average = 100 * np.mean([np.mean(values) for values in main.values()])
    assert results.metrics["average"] == pytest.approx(average, abs=1e-5)
    about = checkpoint.load_variables(trained)[1]
    assert (about["best_metric"], about["vocabulary"]) == ("average", "bytes")


def test_predictions_name_classes_and_give_scores(trained, tmp_path):
    restored = restore.load(trained)
    text = b"a first text\tand a second"
    ((record, words),) = predict.predict(
        restored, [], [text], predictors.Options(top=2), tmp_path, attention=True
    )
    assert list(record["tasks"]) == list(fake_glue.TASKS)
    mnli = record["tasks"]["mnli"]["top"]
    assert len(mnli) == 2 and mnli[0]["probability"] >= mnli[1]["probability"]
    assert f"mnli: {mnli[0]['class']} " in words

    # The same numbers by the task's own forward pass.
    task, forward = restored.make_task()
    encode = glue.make_encode(restored.config)
    number = list(fake_glue.TASKS).index("mnli")
    example = {"texts": tuple(text.split(b"\t")), "label": None, "index": 0}
    batch = {k: x[None] for k, x in encode(example | {"task": number}).items()}
    logits = np.asarray(
        forward.apply(*restored.variables, None, batch, False)[0]["mnli"]
    )
    shares = dict(zip(task.class_names["mnli"], scipy.special.softmax(logits[0])))
    for answer in mnli:
        assert answer["probability"] == pytest.approx(shares[answer["class"]], rel=1e-5)
    assert np.isfinite(record["tasks"]["stsb"]["score"])

    arrays, page = record["attention"]
    assert pathlib.Path(page).read_text().count("<p>") == 8  # one a task
    with np.load(arrays) as maps:
        assert maps["encoder"].shape[-1] == len(text)
    with pytest.raises(ValueError, match="line 1 has 3 texts between tabs"):
        list(predict.predict(restored, [], [b"a\tb\tc"], predictors.Options()))


def test_both_formats_give_the_same_examples(tsv, tfds):
    def batches(source, folder):
        config = small_config(**{"data.source": source, "data.dir": folder})
        config.data.tasks = ("mnli", "stsb")
        task = build.make_task(config)
        return {
            name: sorted(
                (int(index), label, tokens.tobytes())
                for batch in loaded()
                for mask, index, label, tokens in zip(
                    *(batch[k] for k in ("mask", "index", "label", "tokens"))
                )
                if mask
            )
            for name, loaded in task.eval_data.items()
        }

    found = batches("tsv", tsv)
    assert sum(map(len, found.values())) == 15
    assert found == batches("tfds", tfds)


# Data


def test_texts_are_joined_and_begin_with_the_input_token(tsv):
    tokens = tokenizer.Bytes()
    example = {"texts": (b"ab", b"cde"), "label": None, "index": 7, "task": 1}
    for variant, prefix in (("multitask_query", ""), ("shared_token", "[CLS]")):
        encode = glue.make_encode(small_config(variant))
        found = encode(example)
        shown = "".join(map(tokens.show, found["tokens"][found["token_mask"]]))
        assert shown == f"{prefix}ab[SEP]cde"
        assert np.isnan(found["label"]) and found["index"] == 7 and found["task"] == 1


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        ((3, 4), 10, (3, 4)),
        ((3, 40), 10, (3, 7)),
        ((40, 3), 10, (7, 3)),
        ((40, 40), 11, (6, 5)),
        ((40,), 11, (11,)),
    ],
)
def test_the_longer_text_is_cut_first(lengths, room, expected):
    parts = [np.arange(length) for length in lengths]
    kept = glue.shorten(parts, room)
    assert tuple(map(len, kept)) == expected
    for part, short in zip(parts, kept):
        np.testing.assert_array_equal(short, part[: len(short)])


def test_tasks_are_seen_as_often_as_they_have_examples(tmp_path):
    for name, count in (("small", 10), ("large", 30)):
        (tmp_path / name).mkdir()
        for split in ("train", "test"):
            rows = [{"text": f"{name} {n}", "label": n % 2} for n in range(count)]
            lines = "\n".join(map(json.dumps, rows))
            (tmp_path / name / f"{split}.jsonl").write_text(lines)
    config = small_config(**{"data.source": "files", "data.dir": str(tmp_path)})
    config.data.tasks, config.data.held_out = ("small", "large"), "test"
    task = build.make_task(config)
    assert task.num_train_examples() == 40
    epoch = [next(iter(task.train_data(step)))["task"] for step in range(5)]
    assert np.concatenate(epoch).sum() == 30  # of task 1, in 40 examples
    assert list(task.eval_data) == ["small", "large"]


def test_docstrings_are_told_apart_by_package():
    config = text_classification.get_config()
    config.data.tasks = ("package", "kind")
    package, kind = text_tasks.load(config.data)
    assert {"asyncio", "email", "logging"} <= set(package.class_names)
    assert set(kind.class_names) == {"class", "function", "module"}
    train_texts = {package.train[i]["texts"] for i in range(len(package.train))}
    (test,) = package.held_out.values()
    assert len(test) > 300
    assert not train_texts & {test[i]["texts"] for i in range(len(test))}


@pytest.mark.parametrize("name", ["replaced", "swapped"])
def test_misspelled_parts_of_documents_differ_in_a_few_letters(name):
    config = text_classification.get_config()
    config.data.tasks = (name,)
    (task,) = text_tasks.load(config.data)
    assert list(task.class_names) == ["correct", "misspelled"]
    (test,) = task.held_out.values()
    rows = [test[index] for index in range(len(test))]
    assert 0.45 < np.mean([row["label"] for row in rows]) < 0.55
    originals = {
        document.text[start : start + 64]
        for document in python_docs.documents()
        for start in range(0, 640, 64)
    }
    by_letters = {bytes(sorted(text)) for text in originals}
    for row in rows:
        (text,) = row["texts"]
        assert (text in originals) == (row["label"] == 0)
        if name == "swapped":
            assert bytes(sorted(text)) in by_letters


# Models


@pytest.mark.parametrize("variant", [*glue_configs.MULTITASK, "bert"])
def test_every_readout_answers_the_task_that_is_asked(variant):
    bert = variant == "bert"
    config = small_config("task_tokens" if bert else variant)
    config.model.kind = "transformer" if bert else "perceiver"
    forward = hk.transform(glue.make_forward(config.model, {"one": 3, "two": 1}))
    rng = np.random.default_rng(0)
    batch = {
        "tokens": rng.integers(6, 262, (2, 48)),
        "token_mask": np.arange(48) < [[30], [48]],
        "task": np.array([0, 1]),
    }
    init, apply = (
        jax.jit(f, static_argnames="is_training") for f in (forward.init, forward.apply)
    )
    params = init(jax.random.key(0), batch, is_training=False)
    found = apply(params, None, batch, is_training=False)
    assert {name: x.shape for name, x in found.items()} == {
        "one": (2, 3),
        "two": (2, 1),
    }
    other = batch | {"task": np.array([1, 0])}
    swapped = apply(params, None, other, is_training=False)
    same = np.allclose(found["one"], swapped["one"], atol=1e-6)
    assert same == (variant == "shared_token")  # knows the task by its head alone

    mlm = hk.transform(text_model.make_forward(config.model))
    shapes = jax.eval_shape(lambda: mlm.init(jax.random.key(0), batch, False))
    pretrained = set(checkpoint.shapes_of(shapes))
    new = set(checkpoint.shapes_of(params)) - pretrained
    tables = {"shared_token": set(), "multitask_query": {"task_queries/queries"}}
    layers = ("hidden/w", "hidden/b", "output/w", "output/b")
    heads = {f"{task}_head/{layer}" for task in ("one", "two") for layer in layers}
    assert new == heads | tables.get(variant, {"task_tokens/queries"})


def test_the_loss_is_of_the_task_that_is_asked():
    make = functools.partial(text_tasks.TextTask, train=None, held_out={})
    tasks = [make("one", ("a", "b"), ("accuracy",)), make("two", (), ("pearson",))]
    logits = {"one": np.array([[2.0, 0], [0, 0]]), "two": np.array([[9.0], [1.5]])}
    batch = {
        "label": np.array([1.0, 4.0]),
        "task": np.array([0, 1]),
        "mask": np.array([1.0, 1.0]),
    }
    found = glue.make_metrics(tasks)(logits, batch)
    expected = [np.log(1 + np.exp(2.0)), 2.5**2]
    np.testing.assert_allclose(found["loss"][0], expected, rtol=1e-6)
    np.testing.assert_array_equal(found["loss_two"][1], [0, 1])


# Bad input


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.tasks": ("colla",)}, "'colla' is none of the GLUE tasks"),
        ({"data.tasks": ("rte", "rte")}, "must be names, each once"),
        ({"data.held_out": "test"}, "cola has no labels, so it can't be evaluated"),
        ({"data.held_out": "dev"}, "data.held_out='dev' is unknown: use validation"),
        ({"data.source": "csv"}, "data.source='csv' is unknown: use tfds, tsv, files"),
        ({"model.readout": "cls"}, "model.readout='cls' is unknown: use query"),
        ({"model.kind": "transformer"}, "model.readout='query' needs latents to query"),
        ({"data.dir": ""}, "data.source='tsv' needs --config.data.dir"),
        ({"data.source": "files"}, "needs one file train.csv or .tsv"),
        (
            {"data.source": "python_docs", "data.tasks": ("packages",)},
            "data.tasks='packages' is unknown: use package",
        ),
    ],
)
def test_wrong_configs_are_refused(tsv, fields, message):
    config = small_config(**({"data.dir": tsv} | fields))
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        build.make_task(config)
    assert message in str(error.value)


def test_weights_of_another_tokenizer_are_refused(trained, tmp_path):
    other = tmp_path / "other.model"
    other.write_bytes(tokenizer.train([b"a few words of text to learn from"] * 9, 284))
    restored = restore.load(trained)
    restored.config.data.tokenizer = str(other)
    restored.config.model.vocab_size = 284
    with pytest.raises(
        ValueError, match="was trained with the tokenizer 'bytes', this"
    ):
        restored.make_task()
    config = pretraining.get_config("docs")
    config.update_from_flattened_dict(
        {k: v for k, v in SMALL.items() if k != "epochs"}
        | {"data.tokenizer": str(other), "model.vocab_size": 284}
    )
    config.data.source, config.init_from = "synthetic", str(trained)
    with pytest.raises(ValueError, match="set --config.data.tokenizer to that one"):
        launch.train(config, tmp_path / "run")


def test_variants_and_sweep():
    assert len({tuple(point.items()) for point in glue_configs.sweep()}) == 12
    for point in glue_configs.sweep():
        glue_configs.get_config("rte").update_from_flattened_dict(point)
    config = glue_configs.get_config("cola,bert_base")
    assert (config.model.readout, config.data.length) == ("task_tokens", 512)
    with pytest.raises(ValueError, match="'wnli' is unknown; configs/glue.py has cola"):
        glue_configs.get_config("wnli")
