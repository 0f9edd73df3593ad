"""What predictors have in common: their flags, their items, where they write."""

import dataclasses
import pathlib

import pytest
from absl import flags

from experiments import predicting
from experiments.predicting import Folder


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """One with a flag of each kind."""

    text: tuple[str, ...] = predicting.flag((), "Texts.")
    top: int = predicting.flag(5, "Answers.", at_least=1)
    window: bool = predicting.flag(False, "Whether.")
    labels: str = predicting.flag("", "File.")
    inner: int = 3  # no flag


@pytest.fixture
def parsed(monkeypatch):
    """Values of the flags, which are gone after the test."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    for kind in ("bool", "integer", "string", "multi_string"):
        name = f"DEFINE_{kind}"
        define = getattr(flags, name)
        monkeypatch.setattr(
            flags, name, lambda *args, d=define: d(*args, flag_values=values)
        )

    def parse(*arguments):
        predicting.define_flags(Predictor)
        values(["program", *arguments])
        return predicting.flag_values(Predictor)

    return parse


def test_fields_made_by_flag_are_flags(parsed):
    assert parsed("--text=a", "--text=b c", "--top=2", "--window", "--labels=x") == {
        "text": ("a", "b c"),
        "top": 2,
        "window": True,
        "labels": "x",
    }
    help_text = flags.FLAGS.main_module_help()
    assert "--top: Answers." in help_text and "a positive integer" in help_text


def test_flags_have_the_fields_defaults(parsed):
    assert parsed() == {"text": (), "top": 5, "window": False, "labels": ""}


def test_flags_have_a_least_value(parsed):
    with pytest.raises(flags.IllegalFlagValueError, match="--top=0"):
        parsed("--top=0")


# Items.


def test_items_of_texts_are_files_lines_and_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"in a")
    items = list(predicting.text_items([tmp_path / "a.txt"], [b"x", b"y"], ["t"]))
    assert [(item.name, item.stem) for item in items] == [
        (str(tmp_path / "a.txt"), "a"),
        ("line 1", "line_1"),
        ("line 2", "line_2"),
        ("text 1", "text_1"),
    ]


def test_items_of_paths_are_files_and_those_that_lines_name():
    items = list(predicting.path_items([pathlib.Path("b/c.png")], [b"d/e.jpg", b""]))
    assert [(i.name, i.stem, i.data) for i in items] == [
        ("b/c.png", "c", pathlib.Path("b/c.png")),
        ("d/e.jpg", "e", pathlib.Path("d/e.jpg")),
    ]


# Where files are written.


def test_a_folder_is_made_and_gives_paths(tmp_path):
    folder = Folder(tmp_path / "a" / "b")
    assert folder.root.is_dir()
    path = folder.file("x.png")
    path.write_text("first")
    assert folder.file("x.png") == path == tmp_path / "a/b/x.png"  # of this run


def test_files_of_an_earlier_run_are_replaced_only_where_asked_to(tmp_path):
    (tmp_path / "x.png").write_text("earlier")
    with pytest.raises(FileExistsError, match="x.png is there already.*--overwrite"):
        Folder(tmp_path).file("x.png")
    assert Folder(tmp_path, overwrite=True).file("x.png") == tmp_path / "x.png"


@pytest.mark.parametrize("overwrite", [False, True])
def test_inputs_are_never_replaced(tmp_path, overwrite):
    (tmp_path / "x.png").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)
    inputs = [tmp_path / "link" / "x.png"]
    folder = Folder(tmp_path, overwrite, inputs)
    with pytest.raises(FileExistsError, match="is one of the inputs: choose another"):
        folder.file("x.png")


def test_an_output_that_is_a_file_is_named(tmp_path):
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises(ValueError, match=f"--output={path} is a file: name a folder"):
        Folder(path)
    assert path.read_text() == "mine"
