"""Prediction as a program, on real pictures, text and frames."""

import json
import re
import subprocess

import jax
import numpy as np
import oracles
import programs
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from experiments import predict as predict_program
from experiments import predicting as predictors
from experiments import restore
from experiments.imagenet import task as imagenet
from perceiver_jax.data.flow import files as flow_files
from perceiver_jax.data.flow import pictures
from perceiver_jax.data.image import decoding
from perceiver_jax.data.text import tokenizer
from perceiver_jax.data.video import files as video
from perceiver_jax.engine import checkpoint
from scripts import convert_pretrained

HUGGINGFACE = oracles.DATA / "huggingface"


def predict(workdir, *arguments, stdin=b"", fails=False):
    """Records of `experiments.predict --json`, or its error."""
    done = subprocess.run(
        programs.command(
            "experiments.predict", f"--workdir={workdir}", "--json", *arguments
        ),
        cwd=programs.ROOT,
        env=programs.environment(),
        capture_output=True,
        input=stdin,
        timeout=300,
    )
    assert (done.returncode != 0) == fails, done.stderr.decode()
    if fails:
        return done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def predict_here(workdir, *arguments, lines=(), folder=None, **options):
    """Records of a prediction, without a process of its own."""
    restored, options = restore.load(workdir), predictors.Options(**options)
    predicted = predict_program.predict(restored, arguments, lines, options, folder)
    return [json.loads(json.dumps(record)) for record, _ in predicted]


def refuse(*arguments, **options):
    """The error of a prediction, without a process of its own."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        predict_here(*arguments, **options)
    return str(error.value)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Workdirs converted from the small Hugging Face folders."""
    folder = tmp_path_factory.mktemp("converted")
    for name in ("mlm", "imagenet_fourier", "optical_flow"):
        source = HUGGINGFACE / name
        config = convert_pretrained.config_of(source, None)
        convert_pretrained.to_checkpoint(source, config, folder / name)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """scikit-learn's two photos as files of two formats."""
    folder = tmp_path_factory.mktemp("photos")
    for name, pixels in zip(
        ("china.jpg", "flower.png"), load_sample_images().images, strict=True
    ):
        Image.fromarray(pixels).save(folder / name)
    return folder


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def test_photos_get_classes_pictures_and_attention(models, photos, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {n}\n" for n in range(7)))
    records = predict(
        models / "imagenet_fourier",
        str(photos),
        f"--output={tmp_path}",
        "--attention",
        f"--labels={labels}",
        "--top=3",
    )
    assert [r["input"] for r in records] == [
        str(photos / "china.jpg"),
        str(photos / "flower.png"),
    ]
    for record in records:
        shares = [answer["probability"] for answer in record["top"]]
        assert len(shares) == 3 and shares == sorted(shares, reverse=True)
        assert all(a["label"] == f"name {a['class']}" for a in record["top"])
        arrays, picture = record["attention"]
        for path in (record["picture"], picture):
            with Image.open(path) as image:
                assert np.asarray(image.convert("L")).std() > 10
        with np.load(arrays) as maps:
            assert maps["encoder"].shape == (6, 224, 224)
            np.testing.assert_allclose(maps["encoder"].sum((1, 2)), 1, rtol=1e-3)
            np.testing.assert_allclose(maps["decoder"].sum(-1), 1, rtol=1e-3)


def test_paths_from_the_standard_input_give_the_same(models, photos, tmp_path):
    path = str(photos / "china.jpg")
    records = predict(
        models / "imagenet_fourier",
        path,
        "-",
        f"--output={tmp_path}",
        stdin=path.encode(),
    )
    pictures = [record.pop("picture") for record in records]
    assert records[0] == records[1]
    # Of the same name, yet none is lost.
    assert sorted(map(str, tmp_path.iterdir())) == sorted(pictures)
    assert len(set(pictures)) == 2


def test_model_trained_here_predicts_what_it_evaluates(trained_digits, tmp_path):
    """The picture of a digit, through a PNG file."""
    restored = restore.load(trained_digits)
    task, forward = restored.make_task()
    batch = next(iter(task.eval_data["test"]()))
    apply = jax.jit(forward.apply, static_argnums=4)
    logits, _ = apply(*restored.variables, None, batch, False)
    pixels = imagenet.load_splits(restored.config.data).test[0]["image"]
    decoding.decode(pixels, "digit").save(tmp_path / "digit.png")
    (record,) = predict_here(restored.folder, str(tmp_path / "digit.png"), top=10)
    found = {answer["class"]: answer["probability"] for answer in record["top"]}
    expected = softmax(np.asarray(logits[0], np.float64))
    np.testing.assert_allclose([found[n] for n in range(10)], expected, rtol=1e-3)


def test_masks_are_filled_with_the_model_s_probabilities(models, tmp_path):
    sentence = "A [MASK]at[MASK]"
    (record,) = predict(
        models / "mlm", f"--text={sentence}", f"--output={tmp_path}", "--attention"
    )
    restored = restore.load(models / "mlm")
    tokens = tokenizer.Bytes().encode_masked(sentence.encode())
    batch = {"tokens": tokens[None], "token_mask": np.ones((1, len(tokens)), bool)}
    arrays = checkpoint.leaves(restored.variables.params)
    logits = oracles.run(restored.config, arrays, batch)[0]
    assert [mask["position"] for mask in record["masks"]] == [2, 5]
    filled = list(tokens)
    for mask in record["masks"]:
        shares = softmax(logits[mask["position"]].astype(np.float64))
        best = mask["top"][0]
        assert best["token"] == 6 + shares[6:].argmax()
        assert best["probability"] == pytest.approx(shares[6:].max(), rel=1e-3)
        filled[mask["position"]] = best["token"]
    raw = bytes(token - 6 for token in filled)
    assert record["text"] == raw.decode(errors="replace")
    arrays, page = record["attention"]
    with np.load(arrays) as maps:
        assert maps["encoder"].shape == (4, 8, 6)  # heads, latents, bytes
        assert maps["decoder"].shape == (8, 6, 8)
        np.testing.assert_allclose(maps["encoder"].sum(-1), 1, rtol=1e-3)
    with open(page) as file:
        assert file.read().count("<p>") == 2 + 8  # masks, latents


def test_long_text_in_windows_and_lines_from_the_standard_input(models):
    line = b"[MASK]" + 30 * b"x" + b"[MASK]"
    records = predict(models / "mlm", "-", "--window", stdin=line + b"\n" + line)
    assert len(records) == 2
    for record in records:
        assert [mask["position"] for mask in record["masks"]] == [0, 31]
        assert "x" * 30 in record["text"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[MASK]" + 30 * b"x", "31 bytes, the model takes 20: use --window"),
        (b"no mask here", r"has no \[MASK\]"),
        (b"a\xffb[MASK]", "no valid UTF-8.*at byte 1"),
    ],
)
def test_text_that_can_not_be_filled(models, tmp_path, data, message):
    path = tmp_path / "input.txt"
    path.write_bytes(data)
    error = refuse(models / "mlm", str(path))
    assert re.search(message, error) and "input.txt" in error


def test_flow_of_real_frames_larger_than_the_model(models, tmp_path):
    """A photo and its shifted copy: two overlapping tiles each way."""
    photo = load_sample_images().images[0]
    first, second = photo[100:116, 100:120], photo[101:117, 102:122]
    for name, frame in (("a.png", first), ("b.png", second)):
        Image.fromarray(frame).save(tmp_path / name)
    # Only 10 x 14 pixels in this small model, so tiles here overlap by less than usual.
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    assert "--output" in refuse(models / "optical_flow", *paths)
    (record,) = predict(
        models / "optical_flow",
        str(tmp_path / "a.png"),
        str(tmp_path / "b.png"),
        f"--output={tmp_path / 'out'}",
        "--attention",
        "--config.model.image_size=(10,14)",
    )
    (path,) = record["flow"]
    field, _ = flow_files.read_flow(tmp_path / path)
    assert field.shape == (16, 20, 2) and np.isfinite(field).all()
    assert field.std() > 0
    with Image.open(record["picture"]) as picture:
        colors = pictures.to_colors(field, record["largest_length"])
        expected = pictures.draw_arrows(colors, field)
        np.testing.assert_array_equal(np.asarray(picture), expected)
    with np.load(record["attention"][0]) as maps:
        assert maps["encoder"].shape == (7, 140)
        assert maps["decoder"].shape == (140, 7)


def test_flow_of_a_video(models, tmp_path):
    photo = load_sample_images().images[1]
    frames = [photo[50 : 50 + 10, 60 + n : 60 + n + 14] for n in range(4)]
    video.write(tmp_path / "moving.mp4", frames, 5)
    (record,) = predict_here(
        models / "optical_flow", str(tmp_path / "moving.mp4"), folder=tmp_path
    )
    assert len(record["flow"]) == 3
    assert len(list(video.read_frames(tmp_path / record["picture"]))) == 3


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(9, 30)] * 2, "1.png: frames of 9x30 pixels are smaller than the model's"),
        ([(10, 14), (10, 15)], "differ in size"),
        ([(10, 14)], "two frames"),
    ],
)
def test_frames_without_flow(models, tmp_path, shapes, message):
    paths = []
    for number, shape in enumerate(shapes):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(paths[-1])
    error = refuse(models / "optical_flow", *paths, folder=tmp_path)
    assert message in error


def test_files_that_are_not_there_or_no_images(models, photos, tmp_path):
    workdir = models / "imagenet_fourier"
    assert "nowhere.jpg" in refuse(workdir, "nowhere.jpg")
    assert "Nothing to predict" in predict(workdir, fails=True)
    (tmp_path / "empty").mkdir()
    assert "holds no" in refuse(workdir, str(tmp_path / "empty"))
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    assert "bad.jpg" in refuse(workdir, str(tmp_path / "bad.jpg"))
    assert "--text=('a',) means nothing" in refuse(workdir, text=("a",))
    (tmp_path / "labels").write_text("one\n")
    error = refuse(workdir, str(photos), labels=tmp_path / "labels")
    assert "1 lines, the model 7 classes" in error
