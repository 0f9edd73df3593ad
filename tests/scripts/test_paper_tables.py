"""The table of a task is found in its folder: the script names none."""

import sys

import configs
import experiments
from scripts import paper_tables

TABLE = """
def lines(configs):
    yield f"{configs.NAME}, table 1"
    yield "a row"
"""


def test_tables_are_those_of_the_tasks_that_have_one(tmp_path, monkeypatch, capsys):
    for package in (experiments, configs):
        folder = tmp_path / package.__name__
        folder.mkdir()
        monkeypatch.setattr(package, "__path__", [str(folder)])
    for name in ("second_toy", "first_toy", "toy_without"):
        folder = tmp_path / "experiments" / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (tmp_path / "configs" / f"{name}.py").write_text(f"NAME = '{name}'")
        if name != "toy_without":
            (folder / "paper_table.py").write_text(TABLE)
    (tmp_path / "experiments" / "program_toy.py").touch()
    before = set(sys.modules)
    paper_tables.main([])
    for name in set(sys.modules) - before:
        del sys.modules[name]
    expected = "first_toy, table 1\na row\n\nsecond_toy, table 1\na row\n"
    assert capsys.readouterr().out == expected
