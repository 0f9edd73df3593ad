"""The English that ships with Python."""

import inspect
import json
import string

import numpy as np

from perceiver_jax.data.text import python_docs


def test_python_s_documentation():
    documents = python_docs.documents()
    assert len(documents) > 5000
    assert sum(len(d.text) for d in documents) > 1_500_000
    assert len({d.text for d in documents}) == len(documents)
    by_name = {d.name: d for d in documents}
    assert by_name["json.dumps"].package == "json"
    assert by_name["json.dumps"].kind == "function"
    assert by_name["json.dumps"].text.startswith(b"Serialize ``obj`` to a JSON")
    assert by_name["json"].kind == "module"
    assert by_name["json.decoder.JSONDecoder"].kind == "class"
    held_out = np.mean([d.is_held_out for d in documents])
    assert 0.08 < held_out < 0.12


def test_documents_are_what_python_itself_says():
    by_name = {document.name: document for document in python_docs.documents()}
    for name, thing in (
        ("json", json),
        ("json.dumps", json.dumps),
        ("string.Template", string.Template),
    ):
        assert by_name[name].text.decode() == inspect.getdoc(thing)


def test_equal_texts_are_held_out_together():
    text = b"the same words"
    sides = {
        python_docs.Document(package, "class", package, text).is_held_out
        for package in ("json", "string", "topics")
    }
    assert len(sides) == 1


def test_files_for_another_python_are_passed_over(tmp_path):
    path = tmp_path / "old.py"
    path.write_text("print 'a statement'")
    assert python_docs._docstrings(path, ("old",)) == []
    path.write_text('"""About it."""\nasync def f():\n    """Says."""\n')
    found = python_docs._docstrings(path, ("package", "__init__"))
    assert [(d.package, d.kind, d.name, d.text) for d in found] == [
        ("package", "module", "package", b"About it."),
        ("package", "function", "package.f", b"Says."),
    ]
