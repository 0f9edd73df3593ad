"""Tasks on Python's documentation, opened as a config says."""

import numpy as np
import pytest

from configs import text_classification
from experiments.glue import data
from perceiver_jax.data.text import python_docs


def test_docstrings_are_told_apart_by_package():
    config = text_classification.get_config()
    config.data.tasks = ("package", "kind")
    package, kind = data.load_tasks(config.data)
    assert {"asyncio", "email", "logging"} <= set(package.class_names)
    assert set(kind.class_names) == {"class", "function", "module"}
    train_texts = {package.train[i]["texts"] for i in range(len(package.train))}
    (test,) = package.held_out.values()
    assert len(test) > 200  # 508 of Python 3.11.7, 298 of Debian's 3.13
    assert not train_texts & {test[i]["texts"] for i in range(len(test))}


@pytest.mark.parametrize("name", ["replaced", "swapped"])
def test_misspelled_parts_of_documents_differ_in_a_few_letters(name):
    config = text_classification.get_config()
    config.data.tasks = (name,)
    (task,) = data.load_tasks(config.data)
    assert list(task.class_names) == ["correct", "misspelled"]
    (test,) = task.held_out.values()
    rows = [test[index] for index in range(len(test))]
    assert 0.45 < np.mean([row["label"] for row in rows]) < 0.55
    originals = {
        document.text[start : start + 64]
        for document in python_docs.documents()
        for start in range(0, 640, 64)
    }
    by_letters = {bytes(sorted(text)) for text in originals}
    for row in rows:
        (text,) = row["texts"]
        assert (text in originals) == (row["label"] == 0)
        if name == "swapped":
            assert bytes(sorted(text)) in by_letters
