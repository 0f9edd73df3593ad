"""Small text to train on, and a model of it, for the tests of both text tasks."""

import pathlib
import pydoc_data.topics

import programs
import pytest


@pytest.fixture(scope="session")
def text_corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Flags of a corpus of files: Python's topics, some held out."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in pydoc_data.topics.topics.items():
        split = "test" if name.startswith("a") else "train"
        (folder / f"{split}_{name}.txt").write_text(text, encoding="utf-8")
    return (
        f"--config.data.train=('{folder}/train_*.txt',)",
        f"--config.data.held_out=('{folder}/test_*.txt',)",
    )


@pytest.fixture(scope="session")
def pretrained_text(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    text_corpus: tuple[str, ...],
) -> pathlib.Path:
    """The workdir of a short run on bytes; not to be written to."""
    flags = (*programs.TEXT, *text_corpus, "--config.steps=2")
    return programs.train_once(tmp_path_factory, worker_id, "text", *flags)
