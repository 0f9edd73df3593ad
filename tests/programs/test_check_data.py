"""A look at a data set before training."""

import numpy as np
import programs
import pytest
import small_digits
from PIL import Image

from experiments import check_data


@pytest.fixture
def folder(tmp_path):
    """Nine images of two classes to train on, and four to evaluate on."""
    for split, name, count in (
        *(("train", "cat", 5), ("train", "dog", 4)),
        *(("val", "cat", 2), ("val", "dog", 2)),
    ):
        (tmp_path / split / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((9, 9, 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.png")
    return tmp_path


def fields(folder):
    return {
        "data__source": "folder",
        "data__dir": str(folder),
        "data__eval_split": "val",
        "data__num_classes": 2,
        "data__max_corrupt": 0,  # all are named all the same
        "batch_size": 4,
        "eval_batch_size": 4,
    }


def test_good_data_is_counted(folder, capsys):
    assert check_data.check(small_digits.get_config(**fields(folder))) == 0
    train, test = capsys.readouterr().out.splitlines()
    assert train.startswith("train: 12 examples in ") and train.endswith("0 corrupt")
    assert test.startswith("test: 4 examples in ") and test.endswith("0 corrupt")


def test_corrupt_files_are_all_named(folder, capsys, caplog):
    bad = [folder / name for name in ("train/cat/1.png", "train/dog/2.png")]
    bad.append(folder / "val" / "dog" / "0.png")
    for path in bad:
        path.write_bytes(path.read_bytes()[:40])
    assert check_data.check(small_digits.get_config(**fields(folder))) == 3
    train, test = capsys.readouterr().out.splitlines()
    assert train.endswith("2 corrupt") and test.endswith("1 corrupt")
    for path in bad:
        assert str(path.relative_to(folder)) in caplog.text


def test_data_of_noise_has_no_corrupt_files_to_skip(capsys):
    config = small_digits.get_config(batch_size=360)
    assert check_data.check(config) == 0
    assert "train: 1,440 examples" in capsys.readouterr().out


def test_exit_status_tells_whether_all_is_well(folder):
    flags = ["--config=configs/digits.py", "--config.steps=3"]
    for name, value in fields(folder).items():
        flags.append(f"--config.{name.replace('__', '.')}={value}")
    assert "4 examples" in programs.run("experiments.check_data", *flags).stdout
    path = folder / "val" / "cat" / "0.png"
    path.write_bytes(b"no image")
    done = programs.run("experiments.check_data", *flags, fails=True)
    assert "val/cat/0.png" in done.stderr and "test: 3 examples" in done.stdout
    assert done.stderr.splitlines()[-1] == "1 examples are corrupt: named above."
