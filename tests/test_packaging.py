"""What is installed, and by which Python."""

import ast
import importlib.metadata
import os
import pathlib
import platform
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from unittest import mock

import pytest
import setuptools
from programs import ROOT

from perceiver_jax import extras

LIBRARY = ROOT / "perceiver_jax"


@pytest.fixture(scope="module")
def setup():
    """What setup.py tells setuptools."""
    with mock.patch.object(setuptools, "setup") as called:
        runpy.run_path(str(ROOT / "setup.py"))
    return called.call_args.kwargs


def names(requirements):
    """The distributions of requirements: {"jax"} of ["jax[tpu]>=0.10"]."""
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


def declared():
    """Every (module, extra) of an extras.Library in the library."""
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                "extras.Library"
            ):
                yield node.args[0].value, node.keywords[0].value.value


@pytest.mark.parametrize(("module", "extra"), sorted(set(declared())))
def test_extra_that_an_error_names_brings_the_library(setup, module, extra):
    top = module.partition(".")[0]
    (distribution,) = set(importlib.metadata.packages_distributions()[top])
    assert distribution in names(setup["extras_require"][extra])


def test_every_extra_is_heavy_and_all_has_them_all(setup):
    kinds = dict(setup["extras_require"])
    everything = set(kinds.pop("all"))
    others = {name: kinds.pop(name) for name in ("cuda", "tpu", "dev")}
    assert everything == set().union(*kinds.values())
    assert everything < set(others["dev"])
    assert not names(everything) & names(setup["install_requires"])
    assert setup["name"] == extras.DISTRIBUTION


def test_wheel_holds_the_library_whole_and_nothing_else(tmp_path):
    for name in ("setup.py", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("perceiver_jax", "experiments", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    # As pip calls it, but without another download of setuptools.
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    command = [sys.executable, "-c", build]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("perceiver_haiku-*.whl")
    found = {path for path in zipfile.ZipFile(wheel).namelist() if "-info/" not in path}
    assert found == {
        path.relative_to(tmp_path).as_posix()
        for path in (tmp_path / "perceiver_jax").rglob("*")
        if path.is_file()
    }


# A Python that says its version, or why it can't be had, and makes a .venv whose
# Python says the same and whose pip writes down what it is told.
PYTHON = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then echo "{says}"; exit {status}; fi
mkdir -p .venv/bin
echo made by {says} >>log
cp "$0" .venv/bin/python
printf '#!/usr/bin/env bash\necho "$@" >>log' >.venv/bin/pip
chmod +x .venv/bin/pip
"""


@pytest.fixture
def machine(tmp_path):
    """A folder with a checkout's files of installation, and an empty PATH."""
    for path in (ROOT / "setup.py", *ROOT.glob("constraints*.txt")):
        shutil.copy(path, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("bash", "cat", "cksum", "cp", "mkdir", "chmod", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    return tmp_path


def add_python(machine: pathlib.Path, name: str, says: str, status: int = 0) -> None:
    path = machine / "bin" / name
    path.write_text(PYTHON.format(says=says, status=status))
    path.chmod(0o755)


def install(machine: pathlib.Path, **environ: str) -> tuple[int, str]:
    """Installs the extra "dev": the exit status, and what is logged or complained."""
    log = machine / "log"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-euc", f"source {ROOT}/scripts/install.sh; install dev"],
        cwd=machine,
        env={"PATH": str(machine / "bin"), **environ},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr + (log.read_text() if log.exists() else "")


def test_newest_python_that_will_do_installs_what_was_tested_with_it(machine):
    add_python(machine, "python3.13", "pyenv: python3.13: command not found", 127)
    add_python(machine, "python3.12", "3.12.1")
    add_python(machine, "python3.11", "3.11.7")
    status, log = install(machine)
    assert status == 0
    made, installed = log.splitlines()
    assert made == "made by 3.12.1"
    assert "--constraint constraints-3.12-3.13.txt --editable .[dev]" in installed
    assert install(machine) == (0, "")  # it is installed


def test_another_python_makes_another_environment(machine):
    for name, version in ("python3.13", "3.13.5"), ("python3.11", "3.11.7"):
        add_python(machine, name, version)
    assert "made by 3.13.5" in install(machine)[1]
    _, log = install(machine, PYTHON="python3.11")
    assert "made by 3.11.7" in log and "constraints-3.11.txt" in log
    assert "made by 3.13.5" in install(machine)[1]


def test_changed_requirements_are_installed_into_the_same_environment(machine):
    add_python(machine, "python3.13", "3.13.5")
    install(machine)
    with (machine / "setup.py").open("a") as file:
        file.write("# changed\n")
    _, log = install(machine)
    assert "made by" not in log and "--editable .[dev]" in log


def test_error_names_what_was_tried(machine):
    add_python(machine, "python3.12", "3.12.1 has no ensurepip", 1)
    add_python(machine, "python3", "is 3.9.18", 1)
    status, complaint = install(machine)
    assert status == 1
    for line in (
        "python3.13 was not found",
        "python3.12 3.12.1 has no ensurepip",
        "python3.11 was not found",
        "python3 is 3.9.18",
    ):
        assert f"\n  {line}\n" in complaint
    _, complaint = install(machine, PYTHON="/opt/python")
    assert "Tried:\n  /opt/python was not found\n" in complaint


def test_this_python_will_do():
    """The question that a Python is asked, answered by a real one."""
    done = subprocess.run(
        [
            "bash",
            "-euc",
            f"source {ROOT}/scripts/install.sh; find_python; echo $version",
        ],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == platform.python_version()
