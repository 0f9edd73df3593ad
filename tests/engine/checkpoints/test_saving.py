"""A full disk is told in one line, and what was saved before stays whole."""

import collections
import resource
import time

import jax
import numpy as np
import pytest

from perceiver_jax.engine.checkpoints import checkpoint, saving
from perceiver_jax.engine.checkpoints.on_disk import Folder

OPTIMIZER = {"step": np.int32(1)[None]}
Usage = collections.namedtuple("Usage", "total used free")


def variables(seed):
    array = np.random.default_rng(seed).normal(size=(100, 200)).astype(np.float32)
    return {"params": {"m": {"w": array}}}


@pytest.fixture
def run(tmp_path):
    """A run that has saved step 1."""
    checkpoints = checkpoint.Checkpoints(tmp_path)
    checkpoints.save(1, variables(1), OPTIMIZER, {})
    checkpoints.add_metrics(1, {"score": 1.0})
    yield checkpoints
    checkpoints.close()


@pytest.fixture
def small_files(run):
    """No file may become longer than 30 kB, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def check_until_it_ends(checkpoints):
    for _ in range(500):
        checkpoints.check()
        time.sleep(0.02)


def assert_step_1_is_whole(workdir):
    assert checkpoint.Checkpoints(workdir, read_only=True).steps() == [1]
    found, _, folder = checkpoint.load_variables(workdir)
    jax.tree.map(np.testing.assert_array_equal, found, variables(1))
    assert folder.name == "1"


def test_full_disk_is_told_at_the_step_after(run, small_files, tmp_path, capfd):
    run.save(2, variables(2), OPTIMIZER, {})
    with pytest.raises(OSError, match="checkpoints/2 could not be written") as error:
        check_until_it_ends(run)
    told = str(error.value)
    assert "written: File too large. " in told and "\n" not in told
    assert "MB are free there, and about 0.08 MB needed" in told
    run.check()  # it was told
    run.close()
    assert capfd.readouterr().err == ""
    assert_step_1_is_whole(tmp_path)


def test_half_a_checkpoint_is_removed_by_the_next_trainer(run, small_files, tmp_path):
    run.save(2, variables(2), OPTIMIZER, {})
    with pytest.raises(OSError, match="could not be written"):
        run.close()
    parts = lambda: [p.name for p in (tmp_path / "checkpoints").glob("*tmp*")]
    assert parts() == ["2.orbax-checkpoint-tmp"]
    checkpoint.load_variables(tmp_path)  # only reads
    assert parts() == ["2.orbax-checkpoint-tmp"]
    again = checkpoint.Checkpoints(tmp_path)
    assert again.step_to_resume() == 1
    again.close()
    assert parts() == []


def test_too_little_space_is_seen_before(run, tmp_path, monkeypatch):
    monkeypatch.setattr(saving.shutil, "disk_usage", lambda _: Usage(1e6, 1e6, 5e4))
    with pytest.raises(OSError, match="No space left on device. 0.05 MB are free"):
        run.save(2, variables(2), OPTIMIZER, {})
    assert_step_1_is_whole(tmp_path)


def test_what_was_written_whole_is_noted(run, tmp_path):
    note = tmp_path / "newest_checkpoint.txt"
    assert note.read_text() == "1\n"
    run.save(2, variables(2), OPTIMIZER, {})
    assert run.latest_step() == 2  # also while it is written
    while note.read_text() != "2\n":
        run.check()
    assert Folder(tmp_path / "checkpoints/2").can_be_read()
