"""What checkpoints say of themselves, and what fits it."""

import json

import jax
import pytest

from perceiver_jax.engine.checkpoints import description
from perceiver_jax.engine.task import Identity


def test_checkpoints_say_what_inputs_and_outputs_stand_for():
    identity = Identity("bytes", {"kind": ("cat", "dog"), "score": ()})
    about = description.describe("t", identity, {"a": 1}, "parent")
    assert about["parent"] == "parent" and about["git"]
    assert about["versions"]["jax"] == jax.__version__
    assert json.loads(json.dumps(about)) == about
    back = description.identity_of(about)
    assert back.vocabulary == "bytes"
    assert back.class_names == {"kind": ["cat", "dog"], "score": []}
    description.check_identity(about, identity, "here")
    description.check_identity(about, Identity(), "here")  # not known: not refused
    with pytest.raises(ValueError, match="here was trained with the tokenizer 'bytes'"):
        description.check_vocabulary(about, "pieces", "here")


def test_changes_are_named_with_both_values():
    saved = {"a": {"b": 1, "c": [1, 2]}, "gone": True, "same": "x"}
    now = {"a": {"b": 2, "c": [1, 2]}, "same": "x", "new": None, "more": 0}
    assert description.changes(saved, now) == {
        "a.b": (1, 2),
        "gone": (True, None),
        "more": (None, 0),
    }


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (Identity("pieces"), "tokenizer 'bytes', this is 'pieces': set --config.data"),
        (Identity("bytes", {"kind": ("cat", "cow")}), "of 'kind': 'dog', here 'cow'"),
        (Identity("bytes", {"kind": ("cat",)}), "of 'kind': 2, here 1"),
    ],
)
def test_another_identity_is_refused(identity, message):
    about = description.describe("t", Identity("bytes", {"kind": ("cat", "dog")}), {})
    with pytest.raises(ValueError, match=f"here was trained .*{message}"):
        description.check_identity(about, identity, "here")


def test_another_task_is_refused():
    about = description.describe("t", Identity(), {})
    description.check_task(about, "t", "here")
    with pytest.raises(ValueError, match="here is a run of task 't', not of 'u'"):
        description.check_task(about, "u", "here")


def test_without_a_repository_there_is_no_hash(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(description.subprocess, "run", missing)
    assert description.describe("t", Identity(), {})["git"] == "unknown"


def test_a_workdir_says_what_its_run_is(tmp_path):
    about = description.describe("t", Identity(), {"a": {"b": [1, 2]}})
    description.write(tmp_path, {"config": {}})
    description.write(tmp_path, about)
    assert description.read(tmp_path) == about
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is damaged.*start the run again"):
        description.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="elsewhere/config.json is not there"):
        description.read(tmp_path / "elsewhere")
