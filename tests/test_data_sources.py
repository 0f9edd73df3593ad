"""Sources: what they give, and what they say when they cannot."""

import pathlib
import pickle
import shutil
import subprocess
import sys

import fake_imagenet
import numpy as np
import pytest

from perceiver_jax.data import image
from perceiver_jax.data.sources import (
    ArraySource,
    CorruptExample,
    FolderSource,
    SkipCorrupt,
    tfds_source,
)


def test_array_source_gives_rows_of_every_array():
    source = ArraySource(image=np.arange(12).reshape(3, 4), label=np.array([7, 8, 9]))
    assert len(source) == 3
    np.testing.assert_array_equal(source[1]["image"], [4, 5, 6, 7])
    assert source[2]["label"] == 9


@pytest.mark.parametrize(
    "arrays",
    [{}, {"image": np.zeros((3, 4)), "label": np.zeros(2)}, {"label": np.array(1)}],
)
def test_array_source_rejects_what_has_no_common_length(arrays):
    with pytest.raises(ValueError, match="arrays need one leading length|at least one"):
        ArraySource(**arrays)


@pytest.fixture
def folder(tmp_path):
    """Two classes, `cat` with files b.jpg and a.jpg, and `dog` with c.png."""
    for name in ["dog/c.png", "cat/b.jpg", "cat/a.jpg", "cat/.hidden"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_folder_source_numbers_sorted_classes_and_files(folder):
    source = FolderSource(folder)
    assert source.class_names == ["cat", "dog"]
    assert source.num_classes == 2
    names = [str(folder / name) for name in ["cat/a.jpg", "cat/b.jpg", "dog/c.png"]]
    assert [example["name"] for example in source] == names
    assert [example["label"] for example in source] == [0, 0, 1]
    assert source[2]["image"] == b"dog/c.png"


def test_folder_source_uses_the_ids_of_the_training_classes(folder):
    shutil.rmtree(folder / "cat")
    source = FolderSource(folder, class_names=["bird", "cat", "dog"])
    assert [example["label"] for example in source] == [2]
    assert source.num_classes == 3


def test_folder_source_names_what_is_wrong(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder.*ROOT/CLASS"):
        FolderSource(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cat holds no class folders.*ROOT/CLASS"):
        FolderSource(folder / "cat")
    with pytest.raises(ValueError, match="not among the 1 known classes: dog"):
        FolderSource(folder, class_names=["cat"])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no files; add images"):
        FolderSource(folder)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A data_dir in which the program prepared a small ImageNet."""
    root = tmp_path_factory.mktemp("imagenet")
    fake_imagenet.write(root / "tars", train_per_class=2, num_validation=3)
    program = pathlib.Path(__file__).parents[1] / "scripts/prepare_tfds.py"
    command = [sys.executable, str(program), "--name=imagenet2012"]
    command += [f"--data_dir={root / 'data'}", f"--manual_dir={root / 'tars'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "train: 8 examples" in done.stdout
    assert "validation: 3 examples" in done.stdout
    return root / "data"


def test_prepared_imagenet_has_the_published_labels(imagenet):
    source = tfds_source("imagenet2012", "validation", str(imagenet))
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
    source = tfds_source("imagenet2012", "train", str(imagenet))
    copy = pickle.loads(pickle.dumps(source))
    assert len(copy) == len(source) == 8
    for example, again in zip(source, copy, strict=True):
        assert example == again
        picture = image.decode(example["image"], example["name"])
        assert picture.size == (128, 96)
        assert picture.mode == "RGB"
    assert len(tfds_source("imagenet2012", "train[:3]", str(imagenet))) == 3


def test_tfds_source_names_what_is_wrong(imagenet, tmp_path):
    with pytest.raises(ValueError, match="no dataset 'imagenett2012'; did you mean"):
        tfds_source("imagenett2012", "train", str(imagenet))
    with pytest.raises(ValueError, match="no split 'tset', but train, validation"):
        tfds_source("imagenet2012", "tset", str(imagenet))
    with pytest.raises(
        FileNotFoundError,
        match=rf"missing.*\npython scripts/prepare_tfds.py --name=imagenet2012"
        rf" --data_dir={tmp_path} --manual_dir=DIR\n.*ILSVRC2012_img_train.tar",
    ):
        tfds_source("imagenet2012", "train", str(tmp_path))


def test_tfds_source_rejects_another_file_format(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "imagenet2012/5.1.0").iterdir():
        path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
    info = tmp_path / "imagenet2012/5.1.0/dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(
        FileNotFoundError, match="is tfrecord, not array_record.*\n.*OTHER_DIR"
    ):
        tfds_source("imagenet2012", "train", str(tmp_path))


def _reject_multiples_of_three(example):
    if example["x"] % 3 == 0:
        raise CorruptExample(f"file {example['x']}: too short")
    return {"decoded": int(example["x"])}


def test_skip_corrupt_gives_the_next_good_example(caplog):
    source = SkipCorrupt(ArraySource(x=np.arange(7)), _reject_multiples_of_three, 3)
    for _ in range(2):
        decoded = [source[index]["decoded"] for index in range(len(source))]
        assert decoded == [1, 1, 2, 4, 4, 5, 1]  # 6 goes on at the start
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [  # each once, although read twice
        f"corrupt image {count} of at most 3 allowed: file {name}: too short"
        for count, name in [(1, 0), (2, 3), (3, 6)]
    ]


def test_skip_corrupt_stops_above_its_limit_and_counts_anew_in_a_worker():
    source = SkipCorrupt(ArraySource(x=np.arange(7)), _reject_multiples_of_three, 2)
    assert source[0]["decoded"] == source[1]["decoded"] == 1
    assert source[3]["decoded"] == 4
    worker = pickle.loads(pickle.dumps(source))
    with pytest.raises(RuntimeError, match="more than 2 corrupt images.*file 6"):
        source[6]
    assert worker[6]["decoded"] == 1


def test_skip_corrupt_stops_where_nothing_is_good():
    zeros = ArraySource(x=np.zeros(3, int))
    with pytest.raises(RuntimeError, match="all 3 examples are corrupt"):
        SkipCorrupt(zeros, _reject_multiples_of_three, limit=10)[0]
