"""Texts to classes and scores, by a model that was trained for two steps."""

import pathlib

import fake_glue
import jax
import numpy as np
import pytest
import scipy.special

from experiments import build, predict, restore
from experiments.glue.data import make_encode
from experiments.predicting import Folder
from perceiver_jax.engine.task import Identity


@pytest.fixture(scope="module")
def restored(trained):
    return restore.load(trained)


def predict_all(restored, files=(), lines=(), folder=None, attention=False, **options):
    """What is said of all inputs."""
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    arguments = (files, lines, folder, attention)
    return list(predict.predict(restored, predictor, *arguments))


def test_predictions_name_classes_and_give_scores(restored, tmp_path):
    text = b"a first text\tand a second"
    options = {"folder": Folder(tmp_path), "attention": True, "top": 2}
    ((record, words, _),) = predict_all(restored, lines=[text], **options)
    assert list(record["tasks"]) == list(fake_glue.TASKS)
    mnli = record["tasks"]["mnli"]["top"]
    assert len(mnli) == 2 and mnli[0]["probability"] >= mnli[1]["probability"]
    assert f"mnli: {mnli[0]['class']} " in words

    # The same numbers by the task's own forward pass.
    task, forward = restored.make_task()
    encode = make_encode(restored.config)
    number = list(fake_glue.TASKS).index("mnli")
    example = {"texts": tuple(text.split(b"\t")), "label": None, "index": 0}
    batch = {k: x[None] for k, x in encode(example | {"task": number}).items()}
    apply = jax.jit(forward.apply, static_argnums=4)
    logits = np.asarray(apply(*restored.variables, None, batch, False)[0]["mnli"])
    names = task.identity.class_names["mnli"]
    shares = dict(zip(names, scipy.special.softmax(logits[0])))
    for answer in mnli:
        assert answer["probability"] == pytest.approx(shares[answer["class"]], rel=1e-5)
    assert np.isfinite(record["tasks"]["stsb"]["score"])

    arrays, page = record["attention"]
    assert pathlib.Path(page).read_text().count("<p>") == 8  # one a task
    with np.load(arrays) as maps:
        assert maps["encoder"].shape[-1] == len(text)


def test_a_bad_input_is_the_error_of_that_input_alone(restored, tmp_path):
    lines = [b"a\tb\tc", b"a\tb"]
    gone, three, good = predict_all(restored, [tmp_path / "gone.txt"], lines)
    assert "gone.txt" in str(gone.error)
    assert "line 1 has 3 texts between tabs" in str(three.error)
    assert good.error is None and good.record["input"] == "line 2"


def test_classes_without_names_have_numbers(restored):
    predictor = build.make_predictor(restored.config, Identity())
    assert predictor.class_names["mnli"] == ["class 0", "class 1", "class 2"]
    assert not predictor.class_names["stsb"]
    with pytest.raises(ValueError, match="was trained with the tokenizer 'pieces'"):
        build.make_predictor(restored.config, Identity(vocabulary="pieces"))
