"""A run goes on as what it was begun as, or says what changed."""

import dataclasses

import jax
import numpy as np
import programs
import pytest
import regression

from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.task import Identity

SETTINGS = dataclasses.replace(regression.SETTINGS, total_steps=8, eval_every=4)


def train(workdir, task=None, **options):
    regression.train(task or regression.make_task(), workdir, SETTINGS, **options)


def stopped(workdir, monkeypatch, config, task=None):
    regression.train_until(monkeypatch, 5, lambda: train(workdir, task, config=config))


def test_fixed_field_that_changed_is_refused_with_both_values(tmp_path, monkeypatch):
    config = {"seed": 0, "log_every": 3, "data": {"length": 8, "dir": "a"}}
    stopped(tmp_path, monkeypatch, config)
    other = {"seed": 1, "log_every": 5, "data": {"length": 9, "dir": "b"}}
    with pytest.raises(ValueError, match="begun with another config") as error:
        train(tmp_path, config=other, free=("log_every", "data.dir"))
    told = str(error.value)
    assert "--allow_changes" in told
    assert "seed: 0 in the checkpoint, 1 here" in told
    assert "data.length: 8 in the checkpoint, 9 here" in told
    assert "log_every" not in told and "data.dir" not in told
    assert checkpoint.Checkpoints(tmp_path, read_only=True).latest_step() == 5


@pytest.mark.parametrize(
    "options", [{"free": ("seed", "new")}, {"allow_changes": True}]
)
def test_field_that_may_change_is_told(tmp_path, monkeypatch, caplog, options):
    stopped(tmp_path, monkeypatch, {"seed": 0})
    with caplog.at_level("INFO", logger="perceiver_jax"):
        train(tmp_path, config={"seed": 1, "new": 2}, **options)
    assert "Going on with another config" in caplog.text
    assert "seed: 0 in the checkpoint, 1 here" in caplog.text
    assert "new: None in the checkpoint, 2 here" in caplog.text
    found = checkpoint.Checkpoints(tmp_path, read_only=True)
    assert found.latest_step() == 8 and found.about(8)["config"]["seed"] == 1


def test_same_config_is_not_told(tmp_path, monkeypatch, caplog):
    stopped(tmp_path, monkeypatch, {"size": [8, 8]})
    with caplog.at_level("INFO", logger="perceiver_jax"):
        train(tmp_path, config={"size": [8, 8]})
    assert "another config" not in caplog.text and "Resumed step 5" in caplog.text


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (Identity(vocabulary="other"), "tokenizer 'bytes', this is 'other'"),
        (Identity("bytes", {"kind": ("cat", "cow")}), "'dog', here 'cow'"),
        (Identity("bytes", {"kind": ("cat", "dog", "cow")}), "'kind': 2, here 3"),
    ],
)
def test_other_tokens_or_classes_are_refused(tmp_path, monkeypatch, identity, message):
    task = dataclasses.replace(
        regression.make_task(), identity=Identity("bytes", {"kind": ("cat", "dog")})
    )
    stopped(tmp_path, monkeypatch, {"a": 1}, task)
    with pytest.raises(ValueError, match=message):
        train(tmp_path, dataclasses.replace(task, identity=identity))


def test_chosen_checkpoint_is_gone_on_with_and_later_ones_are_set_aside(tmp_path):
    train(tmp_path)
    before = (programs.rows(tmp_path), checkpoint.load_variables(tmp_path)[0])
    train(tmp_path, resume_from=4)
    aside = {path.name for path in (tmp_path / "set_aside").iterdir() if path.is_dir()}
    assert aside == {"6", "8"}
    assert programs.rows(tmp_path) == before[0]
    after = checkpoint.load_variables(tmp_path)[0]
    jax.tree.map(np.testing.assert_array_equal, after, before[1])
    train(tmp_path, resume_from=4)  # as a launcher repeats it: there is nothing to do
    assert checkpoint.Checkpoints(tmp_path, read_only=True).latest_step() == 8
    with pytest.raises(FileNotFoundError, match="No checkpoint of step 5"):
        train(tmp_path, resume_from=5)
