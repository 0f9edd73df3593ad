"""Classes of images of one's own, by a model that was trained for a few steps."""

import json

import jax
import numpy as np
import pytest
import scipy.special
from PIL import Image

from experiments import build, predict, restore
from experiments.imagenet import data
from experiments.predicting import Folder
from perceiver_jax.data.image import decoding


@pytest.fixture(scope="module")
def restored(trained_digits):
    return restore.load(trained_digits)


@pytest.fixture
def digits(restored, tmp_path):
    """The first two images of the test set, as files in folders of their own."""
    paths = []
    test = data.load_splits(restored.config.data).test
    for number in range(2):
        path = tmp_path / "in" / str(number) / "digit.png"
        path.parent.mkdir(parents=True)
        decoding.decode(test[number]["image"], "digit").save(path)
        paths.append(path)
    return paths


def predict_all(restored, files, folder=None, attention=False, lines=(), **options):
    """The predictor, and what it says of all files, through JSON."""
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    found = list(predict.predict(restored, predictor, files, lines, folder, attention))
    for one in found:
        assert json.loads(json.dumps(one.record)) == one.record
    return predictor, found


def first_logits(restored):
    task, forward = restored.make_task()
    batch = next(iter(task.evaluations["test"].batches()))
    apply = jax.jit(forward.apply, static_argnums=4)
    logits, _ = apply(*restored.whole_variables, None, batch, False)
    return np.asarray(logits, np.float64)


def test_model_trained_here_predicts_what_it_evaluates(restored, digits):
    _, found = predict_all(restored, digits, top=10)
    expected = scipy.special.softmax(first_logits(restored)[:2], -1)
    for prediction, row in zip(found, expected):
        answers = prediction.record["top"]
        shares = [answer["probability"] for answer in answers]
        assert shares == sorted(shares, reverse=True)
        np.testing.assert_allclose(
            shares, row[[answer["class"] for answer in answers]], rtol=1e-3
        )


def test_classes_are_called_as_the_checkpoint_says(restored, digits):
    names = [f"name {n}" for n in range(10)]
    about = {**restored.about, "class_names": {"classes": names}}
    predictor, (found, _) = predict_all(restored._replace(about=about), digits, top=1)
    (answer,) = found.record["top"]
    assert answer["label"] == f"name {answer['class']}"
    assert found.words == predictor.describe(found.record)
    assert found.words.splitlines()[0] == str(digits[0])
    assert f"{answer['probability']:.1%}  {answer['label']}" in found.words


def test_without_names_classes_are_numbers(restored, digits):
    nameless = restored._replace(about={**restored.about, "class_names": {}})
    _, (found, _) = predict_all(nameless, digits)
    assert len(found.record["top"]) == 5
    assert all(a["label"] == f"class {a['class']}" for a in found.record["top"])


def test_names_of_a_file_come_first(restored, digits, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"line {n}\n" for n in range(10)))
    _, (found, _) = predict_all(restored, digits, labels=str(labels))
    assert all(a["label"] == f"line {a['class']}" for a in found.record["top"])
    labels.write_text("one\n")
    with pytest.raises(ValueError, match="1 lines, the model 10 classes"):
        predict_all(restored, digits, labels=str(labels))


def test_labels_of_their_own_are_sigmoids(restored, digits):
    config = restored.config.copy_and_resolve_references()
    config.data.loss = "sigmoid"
    _, (found, _) = predict_all(restored._replace(config=config), digits, top=10)
    expected = np.sort(scipy.special.expit(first_logits(restored)[0]))[::-1]
    shares = [answer["probability"] for answer in found.record["top"]]
    np.testing.assert_allclose(shares, expected, rtol=1e-3)


def test_pictures_and_attention_of_files_of_one_name(restored, digits, tmp_path):
    folder = Folder(tmp_path / "out")
    _, found = predict_all(restored, digits, folder, attention=True)
    for stem, prediction in zip(("digit", "digit_2"), found):
        arrays, picture = prediction.record["attention"]
        assert prediction.record["picture"] == str(folder.root / f"{stem}.png")
        assert arrays == str(folder.root / f"{stem}_attention.npz")
        for path in (prediction.record["picture"], picture):
            with Image.open(path) as image:
                assert np.asarray(image.convert("L")).std() > 10
        with np.load(arrays) as maps:
            assert maps["encoder"].shape == (4, 8, 8)
            np.testing.assert_allclose(maps["encoder"].sum((1, 2)), 1, rtol=1e-3)
            assert maps["decoder"].shape == (1, 4)
            np.testing.assert_allclose(maps["decoder"].sum(-1), 1, rtol=1e-3)


def test_a_bad_file_is_the_error_of_that_file_alone(restored, digits, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    _, found = predict_all(
        restored, [bad, digits[0]], lines=[b"nowhere.png", str(digits[1]).encode()]
    )
    assert [prediction.error is None for prediction in found] == [False, True] * 2
    assert "bad.jpg" in str(found[0].error) and "nowhere.png" in str(found[2].error)
    assert found[1].record["top"] and found[3].record["top"]
