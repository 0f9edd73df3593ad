"""Prediction as a user starts it: files in, records and files out, nothing lost."""

import io
import json
import subprocess
import sys
import types

import numpy as np
import oracles
import programs
import pytest
from absl import app, flags
from absl.testing import flagsaver
from PIL import Image
from sklearn.datasets import load_sample_images

from experiments import predict as program
from experiments import predicting, restore
from experiments.imagenet import data
from experiments.imagenet.predict import Predictor
from perceiver_jax.data.image import decoding


def predict(workdir, *arguments, stdin=b""):
    """Records of `experiments.predict --json`."""
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
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The workdir of a small model converted from Hugging Face."""
    workdir = tmp_path_factory.mktemp("converted") / "model"
    source = oracles.DATA / "huggingface" / "imagenet_fourier"
    programs.run("scripts.convert_pretrained", f"--from={source}", f"--out={workdir}")
    return workdir


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """scikit-learn's two photos as files of two formats."""
    folder = tmp_path_factory.mktemp("photos")
    for name, pixels in zip(
        ("china.jpg", "flower.png"), load_sample_images().images, strict=True
    ):
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_photos_get_classes_pictures_and_attention(converted, photos, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {n}\n" for n in range(7)))
    path = str(photos / "china.jpg")
    *records, again = predict(
        converted,
        str(photos),
        "-",
        f"--output={tmp_path / 'out'}",
        "--attention",
        f"--labels={labels}",
        "--top=3",
        stdin=path.encode(),
    )
    assert [r["input"] for r in records] == [path, str(photos / "flower.png")]
    for record in records:
        shares = [answer["probability"] for answer in record["top"]]
        assert len(shares) == 3 and shares == sorted(shares, reverse=True)
        assert all(a["label"] == f"name {a['class']}" for a in record["top"])
        arrays, picture = record["attention"]
        for written in (record["picture"], picture):
            with Image.open(written) as image:
                assert np.asarray(image.convert("L")).std() > 10
        with np.load(arrays) as maps:
            assert maps["encoder"].shape == (6, 224, 224)
            np.testing.assert_allclose(maps["encoder"].sum((1, 2)), 1, rtol=1e-3)
            np.testing.assert_allclose(maps["decoder"].sum(-1), 1, rtol=1e-3)
    # A path of the standard input gives the same. Of the same name, yet none is lost.
    assert (again["input"], again["top"]) == (path, records[0]["top"])
    found = sorted(map(str, (tmp_path / "out").glob("*.png")))
    written = [(r["picture"], r["attention"][1]) for r in (*records, again)]
    assert found == sorted(name for pair in written for name in pair)
    assert len(set(found)) == 6


@pytest.mark.parametrize("flags_given", [(), ("--workdir={digits}",)])
def test_help_lists_what_can_be_said(trained_digits, flags_given):
    given = [flag.format(digits=trained_digits) for flag in flags_given]
    told = programs.run("experiments.predict", *given, "--help", fails=True).stdout
    for name in ("workdir", "step", "output", "[no]attention", "[no]json"):
        assert f"--{name}:" in told
    assert ("--top:" in told) == ("--labels:" in told) == bool(given)


# What follows needs no process of its own.


@pytest.fixture(scope="module")
def restored(trained_digits):
    return restore.load(trained_digits)


@pytest.fixture
def digits(restored, tmp_path):
    """A folder with two images of the test set, x.png and y.png."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for name, example in zip("xy", data.load_splits(restored.config.data).test):
        decoding.decode(example["image"], name).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def run(restored, monkeypatch, capsys):
    """Runs the program, and returns what it prints and what it says of errors."""
    predicting.define_flags(Predictor)
    flags.FLAGS.mark_as_parsed()

    def run(*arguments, stdin=b"", **values):
        lines = types.SimpleNamespace(buffer=io.BytesIO(stdin))
        monkeypatch.setattr(sys, "stdin", lines)
        with flagsaver.as_parsed(**values):
            program.main(restored, [str(argument) for argument in arguments])
        return capsys.readouterr()

    yield run
    for name in ("labels", "top"):
        delattr(flags.FLAGS, name)


def pixels(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_words_or_records_are_printed(run, digits):
    told = run(digits, digits / "x.png", top="2").out.splitlines()
    assert [told[n] for n in (0, 3, 6)] == [
        str(digits / name) for name in ("x.png", "y.png", "x.png")
    ]
    records = [json.loads(line) for line in run(digits, json="true").out.splitlines()]
    assert [record["input"] for record in records] == [told[0], told[3]]


def test_an_empty_standard_input_is_told(run):
    with pytest.raises(ValueError, match="the standard input is empty"):
        run("-", stdin=b"")


@pytest.mark.parametrize("overwrite", ["false", "true"])
@pytest.mark.parametrize("argument", ["{digits}", "{digits}/x.png", "-"])
def test_inputs_are_unharmed_where_outputs_would_be_called_so(
    run, digits, overwrite, argument
):
    before = pixels(digits)
    stdin = f"{digits}/x.png".encode()  # for "-"
    with pytest.raises(FileExistsError, match="x.png is one of the inputs"):
        run(
            argument.format(digits=digits),
            stdin=stdin,
            output=str(digits),
            overwrite=overwrite,
        )
    assert pixels(digits) == before


def test_files_of_an_earlier_run_are_kept_unless_told_otherwise(run, digits, tmp_path):
    output = str(tmp_path / "out")
    run(digits / "x.png", output=output)
    (tmp_path / "out" / "x.png").write_text("earlier")
    with pytest.raises(FileExistsError, match="out/x.png is there already.*--overwr"):
        run(digits, output=output)
    assert (tmp_path / "out" / "x.png").read_text() == "earlier"
    run(digits, output=output, overwrite="true")
    for name in ("x.png", "y.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.width > 100


def test_an_output_that_is_a_file_is_refused(run, digits):
    with pytest.raises(ValueError, match="y.png is a file: name a folder"):
        run(digits / "x.png", output=str(digits / "y.png"))


def test_bad_files_are_named_and_the_others_are_predicted(run, digits, capsys):
    (digits / "a.png").write_bytes(b"no image")
    (digits / "xx.png").write_bytes(b"no image either")
    with pytest.raises(ValueError, match="2 of 4 inputs could not be used: see above"):
        run(digits, json="true")
    told = capsys.readouterr()
    inputs = [json.loads(line)["input"] for line in told.out.splitlines()]
    assert inputs == [str(digits / "x.png"), str(digits / "y.png")]
    assert [str(digits / name) in told.err for name in ("a.png", "xx.png")] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("arguments", "values", "error", "message"),
    [
        ((), {}, app.UsageError, "Nothing to predict from: give files, a folder, or"),
        (("nowhere.jpg",), {}, FileNotFoundError, "no file or folder nowhere.jpg"),
        (("{empty}",), {}, FileNotFoundError, "holds no .*.png"),
        (("-",), {"attention": "true"}, app.UsageError, "say where with --output=DIR"),
        (("-",), {"labels": "nowhere.txt"}, FileNotFoundError, "nowhere.txt"),
    ],
)
def test_what_can_not_be_begun(run, tmp_path, arguments, values, error, message):
    (tmp_path / "empty").mkdir()
    arguments = [argument.format(empty=tmp_path / "empty") for argument in arguments]
    with pytest.raises(error, match=message):
        run(*arguments, **values)


def test_arguments_become_files_in_order(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "b/c/1.png", "b/notes.txt", "a.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    arguments = [tmp_path / "a.txt", tmp_path / "b"]
    found = program.expand([str(path) for path in arguments], (".png", ".jpg"))
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["a.txt", "b/2.png", "b/10.JPG", "b/c/1.png"]


def test_stems_that_come_again_are_numbered():
    stems = ["a", "b", "a", "a", "a_2"]
    items = (predicting.Item(stem, stem, None) for stem in stems)
    found = [item.stem for item in program._with_own_stems(items)]
    assert found == ["a", "b", "a_2", "a_3", "a_2_2"]
