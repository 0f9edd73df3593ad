"""Datasets of TFDS: prepared by the program, read by the sources."""

import pickle
import shutil
import subprocess
import sys

import fake_imagenet
import programs
import pytest

from perceiver_jax.data.image import decoding
from perceiver_jax.data.tfds import image_source, text_source


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A data_dir in which the program prepared a small ImageNet."""
    root = tmp_path_factory.mktemp("imagenet")
    fake_imagenet.write(root / "tars", train_per_class=2, num_validation=3)
    done = programs.run(
        "scripts.prepare_tfds",
        "--name=imagenet2012",
        f"--data_dir={root / 'data'}",
        f"--manual_dir={root / 'tars'}",
    )
    assert "train: 8 examples" in done.stdout
    assert "validation: 3 examples" in done.stdout
    return root / "data"


def test_prepared_imagenet_has_the_published_labels(imagenet):
    source = image_source("imagenet2012", "validation", str(imagenet))
    assert source.num_classes == 1000
    # The official labels of the first three validation images.
    labels = {example["name"].split("_")[-1]: example["label"] for example in source}
    expected = {
        "00000001": "n01751748",
        "00000002": "n09193705",
        "00000003": "n02105855",
    }
    for number, name in expected.items():
        assert source.class_names[labels[f"{number}.JPEG)"]] == name


def test_prepared_imagenet_is_decoded_by_us_and_can_be_pickled(imagenet):
    source = image_source("imagenet2012", "train", str(imagenet))
    copy = pickle.loads(pickle.dumps(source))
    assert len(copy) == len(source) == 8
    for example, again in zip(source, copy, strict=True):
        assert example == again
        picture = decoding.decode(example["image"], example["name"])
        assert picture.size == (128, 96)
        assert picture.mode == "RGB"
    assert len(image_source("imagenet2012", "train[:3]", str(imagenet))) == 3


def test_image_source_names_what_is_wrong(imagenet, tmp_path):
    with pytest.raises(ValueError, match="no dataset 'imagenett2012'; did you mean"):
        image_source("imagenett2012", "train", str(imagenet))
    with pytest.raises(ValueError, match="no split 'tset', but train, validation"):
        image_source("imagenet2012", "tset", str(imagenet))
    with pytest.raises(
        FileNotFoundError,
        match=rf"missing.*\npython -m scripts.prepare_tfds --name=imagenet2012"
        rf" --data_dir={tmp_path} --manual_dir=DIR\n.*ILSVRC2012_img_train.tar",
    ):
        image_source("imagenet2012", "train", str(tmp_path))


def test_image_source_rejects_another_file_format(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "imagenet2012/5.1.0").iterdir():
        path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
    info = tmp_path / "imagenet2012/5.1.0/dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(
        FileNotFoundError, match="is tfrecord, not array_record.*\n.*OTHER_DIR"
    ):
        image_source("imagenet2012", "train", str(tmp_path))


_PREPARE_YELP = """
import runpy, sys
sys.path.insert(0, "tests")
import fake_glue
with fake_glue.downloads(sys.argv.pop()):
    runpy.run_module("scripts.prepare_tfds", run_name="__main__")
"""
_REVIEWS = ["Le café était bon.", 'They said "never again", and left.', "So-so."]


@pytest.fixture(scope="module")
def yelp(tmp_path_factory):
    """A data_dir in which the program prepared a few reviews from "downloaded" files.

    TFDS knows this dataset only with all its texts, as it does GLUE, C4 and Wikipedia.
    """
    root = tmp_path_factory.mktemp("yelp")
    folder = root / "archive" / "yelp_review_polarity_csv"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [f'"{1 + i % 2}","{text}"\n' for i, text in enumerate(_REVIEWS)]
        (folder / f"{split}.csv").write_text("".join(rows), "utf-8")
    command = [sys.executable, "-c", _PREPARE_YELP, "--name=yelp_polarity_reviews"]
    command += [f"--data_dir={root}", str(folder.parent)]
    done = subprocess.run(
        command, cwd=programs.ROOT, capture_output=True, text=True, check=True
    )
    assert "train: 3 examples" in done.stdout
    return root


def test_text_source_gives_the_bytes_of_texts(yelp):
    source = text_source("yelp_polarity_reviews", "train", str(yelp))
    copy = pickle.loads(pickle.dumps(source))
    assert len(copy) == len(source) == 3
    assert {example["text"] for example in copy} == {t.encode() for t in _REVIEWS}
    assert source[2] == {
        "text": copy[2]["text"],
        "name": "yelp_polarity_reviews train example 2",
    }


def test_sources_name_the_features_that_a_dataset_has_instead(yelp, imagenet):
    with pytest.raises(ValueError, match=r"image and label.*has \['text', 'label'\]"):
        image_source("yelp_polarity_reviews", "train", str(yelp))
    with pytest.raises(ValueError, match="needs a feature text, has .*'file_name'"):
        text_source("imagenet2012", "train", str(imagenet))


def test_a_corpus_that_is_not_prepared_says_how_to_prepare_it(tmp_path):
    # In a process of its own: TFDS knows Wiki-40B once anything has imported its texts.
    open_wiki40b = (
        "import sys; from perceiver_jax.data.tfds import text_source;"
        "text_source('wiki40b/en', 'train', sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", open_wiki40b, str(tmp_path)],
        cwd=programs.ROOT,
        capture_output=True,
        text=True,
    )
    command = f"python -m scripts.prepare_tfds --name=wiki40b/en --data_dir={tmp_path}"
    assert f"FileNotFoundError: {tmp_path}/wiki40b/en/" in done.stderr
    assert command in done.stderr.splitlines()
