"""GLUE's tasks with a few examples each, and a model of all of them."""

import fake_glue
import pytest
import small_text

from experiments import launch


@pytest.fixture(scope="session")
def tsv(tmp_path_factory):
    """The official files of all eight tasks, with a few examples each."""
    folder = tmp_path_factory.mktemp("glue")
    fake_glue.write_tsv(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tfds(tmp_path_factory):
    """Two tasks as TFDS prepares them."""
    folder = tmp_path_factory.mktemp("tfds")
    fake_glue.write_tfds(folder, ("mnli", "stsb"))
    return str(folder)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tsv):
    """The workdir of a short run on all tasks at once; not to be written to."""
    workdir = tmp_path_factory.mktemp("run")
    launch.train(small_text.glue_config(**{"data.dir": tsv}), workdir)
    return workdir
