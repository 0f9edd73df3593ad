"""The library without its extras: all of it is imported, and use says what to do."""

import json
import subprocess
import sys

import pytest
from programs import ROOT, environment

from perceiver_jax import extras

# (an expression, the library that it needs, the extra that brings it)
USES = [
    (
        "flow.pictures.draw_arrows(np.zeros((9, 9, 3)), np.ones((9, 9, 2)))",
        "cv2",
        "flow",
    ),
    ("flow.photos.matplotlib_portrait()", "matplotlib", "flow"),
    ("flow.photos.scikit_learn()", "sklearn", "flow"),
    ("scores.compute(['f1'], np.ones(2), np.ones(2))", "sklearn", "scores"),
    ("text.tokenizer.train([b'a text'], 300)", "sentencepiece", "text"),
    ("tfds.open_split('mnist', 'train')", "tensorflow_datasets", "tfds"),
    ("video.files.frame_rate(Path('x.mp4'))", "av", "video"),
]

# Imports the library on a machine that lacks what is named in the arguments, then
# prints what evaluating every line of the standard input says.
PROGRAM = """
import importlib, json, pkgutil, sys

class Lacking:
    def find_spec(name, path=None, target=None):
        if name in sys.argv:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking)
import perceiver_jax
for module in pkgutil.walk_packages(perceiver_jax.__path__, "perceiver_jax."):
    importlib.import_module(module.name)

from pathlib import Path
import numpy as np
from perceiver_jax.data import flow, text, tfds, video
from perceiver_jax.engine import scores

said = {}
for line in sys.stdin.read().splitlines():
    try:
        said[line] = repr(eval(line))
    except ImportError as error:
        said[line] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said():
    """What each use says where no library of an extra is installed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *{library for _, library, _ in USES}],
        input="\n".join(use for use, _, _ in USES),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("use", "library", "extra"), USES, ids=[f"{use[2]}-{use[1]}" for use in USES]
)
def test_all_is_imported_without_extras_and_use_names_them(said, use, library, extra):
    assert said[use] == (
        f"{library} is not installed. It comes with the extra '{extra}': pip install"
        f" 'perceiver-haiku[{extra}]', or in a checkout: pip install -e '.[{extra}]'"
    )


def test_what_is_installed_is_used_as_if_imported():
    library = extras.Library("xml", "etree", "dom", extra="none")
    assert library.etree.__name__ == "xml.etree"
    with pytest.raises(AttributeError, match="'xml' has no attribute 'absent'"):
        library.absent  # noqa: B018


def test_error_inside_of_an_installed_library_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("raise ImportError('libGL.so is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="^libGL.so is missing$"):
        extras.Library("broken", extra="flow").imread  # noqa: B018
