"""CONTRIBUTING's list, walked through: a new task is a folder and a config.

fixtures/new_task is what a contributor writes; here it is laid into a copy of the
repository, in which the programs do all that they do for the tasks that there are.
"""

import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import programs
import pytest
import sklearn.datasets

NEW = programs.ROOT / "tests" / "fixtures" / "new_task"
FOLDERS = ("perceiver_jax", "experiments", "configs", "scripts")


def hashes(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy with the new task in it."""
    root = tmp_path_factory.mktemp("repository")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(programs.ROOT / folder, root / folder, ignore=ignored)
    shutil.copytree(NEW, root, dirs_exist_ok=True)
    return root


def run(root, program, *flags, environment=None):
    done = subprocess.run(
        programs.command(program, *flags),
        cwd=root,
        env=environment or programs.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(repository, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    flags = ("--config=configs/wine.py", f"--workdir={workdir}")
    run(repository, "experiments.train", *flags)
    return workdir


def test_it_has_the_files_of_the_list():
    page = (programs.ROOT / "CONTRIBUTING.md").read_text()
    listed = re.findall(r"^\d+\. `(.*?)`", page, re.M)
    files = [name.replace("TASK", "wine") for name in listed if "tests" not in name]
    assert set(files) == set(hashes(NEW))


def test_it_compiles_for_a_tpu_before_there_is_any_data(repository):
    environment = programs.environment()
    flags = re.sub(r"--xla_cpu\S+", "", environment["XLA_FLAGS"])  # unknown to libtpu
    environment["XLA_FLAGS"] = flags
    (repository / "experiments" / "wine" / "data.py").rename(repository / "data.away")
    try:
        told = run(
            repository,
            "experiments.train",
            "--config=configs/wine.py",
            "--compile_for=v5e:1x1",
            environment=environment,
        )
    finally:
        (repository / "data.away").rename(
            repository / "experiments" / "wine" / "data.py"
        )
    assert "v5e:1x1: 1 chips, 32 examples a step" in told and "GB in all" in told


def test_it_trains_and_is_evaluated(repository, trained):
    told = run(repository, "experiments.evaluate", f"--workdir={trained}")
    found = json.loads(told.splitlines()[-1])
    assert found["test/accuracy"] == found["score"] > 0.8  # by chance 0.4


def test_its_own_flags_and_files_are_predicted_from(repository, trained, tmp_path):
    wine = sklearn.datasets.load_wine()
    path = tmp_path / "rows.csv"
    np.savetxt(path, wine.data[::20], delimiter=",")
    flags = (f"--workdir={trained}", "--decimals=0", "--json", str(path))
    record = json.loads(run(repository, "experiments.predict", *flags))
    truth = [wine.target_names[label] for label in wine.target[::20]]
    agree = np.mean([a == b for a, b in zip(record["cultivars"], truth, strict=True)])
    assert agree > 0.7
    help_of_it = subprocess.run(
        programs.command("experiments.predict", f"--workdir={trained}", "--help"),
        cwd=repository,
        env=programs.environment(),
        capture_output=True,
        text=True,
    )
    assert "--decimals" in help_of_it.stdout + help_of_it.stderr


def test_its_data_are_looked_at(repository):
    told = run(repository, "experiments.check_data", "--config=configs/wine.py")
    assert "train: 160 examples" in told and "test: 44 examples" in told
    assert told.count(", 0 corrupt") == 2


def test_it_has_a_report(repository, trained):
    run(repository, "experiments.report", f"--workdir={trained}")
    page = (trained / "report" / "index.md").read_text()
    assert "| test/accuracy |" in page and "(loss_curve.png)" in page


def test_no_other_file_was_edited(repository, trained):
    here = hashes(repository)
    ours = {
        f"{folder}/{name}": content
        for folder in FOLDERS
        for name, content in hashes(programs.ROOT / folder).items()
    }
    added = here.keys() - ours.keys()
    assert added == {str(p.relative_to(NEW)) for p in NEW.rglob("*") if p.is_file()}
    assert {name: here[name] for name in ours} == ours
