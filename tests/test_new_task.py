"""A task is added as CONTRIBUTING.md says, and nothing else is edited.

The toy lies in tests/new_task: one folder and one config. In a copy of the repository
every program runs it.
"""

import functools
import hashlib
import json
import pathlib
import re
import shutil

import numpy as np
import programs
import pytest
from PIL import Image
from sklearn.datasets import load_wine

TOY = programs.ROOT / "tests" / "new_task"
COPIED = ("perceiver_jax", "experiments", "configs", "scripts")


def hashes(root):
    """{path: hash} of all that is no cache."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def add_toy(root):
    """Makes a copy of the repository's code, with the toy in it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in COPIED:
        shutil.copytree(programs.ROOT / folder, root / folder, ignore=ignored)
    shutil.copytree(TOY, root, dirs_exist_ok=True, ignore=ignored)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, worker_id):
    return programs.once(tmp_path_factory, worker_id, "repository", add_toy)


@pytest.fixture(scope="module")
def run(repository):
    return functools.partial(programs.run, root=repository)


@pytest.fixture(scope="module")
def workdir(repository, tmp_path_factory, worker_id):
    """A run of the toy, trained by the program."""
    flags = ("wine", "--config=configs/wine.py")
    return programs.train_once(tmp_path_factory, worker_id, *flags, root=repository)


def test_the_toy_has_the_files_of_the_list():
    page = (programs.ROOT / "CONTRIBUTING.md").read_text()
    listed = re.findall(r"^\d+\. `(.*?)`", page, re.M)
    files = [name.replace("TASK", "wine") for name in listed if "tests" not in name]
    assert set(files) == set(hashes(TOY))


def test_it_compiles_for_a_tpu_from_the_config_alone(run):
    flags = ("--config=configs/wine.py", "--compile_for=v5e:1x1")
    told = run("experiments.train", *flags).stdout
    assert "v5e:1x1: 1 chips, 16 examples a step, 16 a chip" in told


def test_it_trains_and_evaluates(run, workdir):
    rows = programs.rows(workdir)
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    done = run("experiments.evaluate", f"--workdir={workdir}", "--step=best")
    found = json.loads(done.stdout)
    assert found["score"] == found["test/top1"] > 0.9


def test_it_predicts_files_of_one_s_own(run, workdir, tmp_path):
    wines, path = load_wine(), tmp_path / "wines.csv"
    chosen = np.arange(0, 178, 9)
    lines = [";".join(map(str, wines.data[row])) for row in chosen]
    path.write_text("\n".join(lines))
    done = run(
        "experiments.predict",
        *(f"--workdir={workdir}", "--separator=;", "--json", "--attention"),
        *(f"--output={tmp_path / 'out'}", str(path)),
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["input"] for r in records] == [
        f"{path}:{number}" for number in range(1, len(chosen) + 1)
    ]
    names = np.array(["first", "second", "third"])[wines.target[chosen]]
    right = [r["grower"] == name for r, name in zip(records, names)]
    assert np.mean(right) > 0.9
    with Image.open(records[0]["attention"][0]) as picture:
        assert picture.width > 100


def test_it_is_reported(run, workdir):
    run("experiments.report", f"--workdir={workdir}")
    page = (workdir / "report" / "index.md").read_text()
    assert "wines are taken for another grower's" in page
    assert (workdir / "report" / "loss_curve.png").exists()


def test_its_data_and_fields_are_looked_at(run):
    config = "--config=configs/wine.py"
    told = run("experiments.check_data", config).stdout
    assert "train: 144 examples" in told and "test: 36 examples" in told
    flags = (config, "--config.data.num_held_out=178")
    done = run("experiments.check_data", *flags, fails=True)
    assert "data.num_held_out=178 must be at least 1 and at most 177" in done.stderr


def test_nothing_else_was_edited(repository):
    toy = hashes(TOY)
    ours = {
        f"{folder}/{name}": value
        for folder in COPIED
        for name, value in hashes(programs.ROOT / folder).items()
    }
    assert hashes(repository) == ours | toy and not ours.keys() & toy.keys()
    assert {pathlib.PurePath(name).parts[:-1] for name in toy} == {
        ("configs",),
        ("experiments", "wine"),
    }
