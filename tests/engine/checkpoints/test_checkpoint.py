"""Checkpoints: which are kept, what they say of themselves, what they refuse."""

import contextlib
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
import regression

from perceiver_jax.engine.checkpoints import checkpoint

VARIABLES = {"params": {"m": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}}}
OPTIMIZER = {"step": np.int32(0)[None]}


def save(workdir, scores, keep_last=1, keep_best=1):
    """Saves a step for each score, and adds that where there is one."""
    checkpoints = checkpoint.Checkpoints(workdir, keep_last, keep_best)
    for step, score in enumerate(scores, 1):
        about = {"config": {"n": step}}
        checkpoints.save(step, VARIABLES, OPTIMIZER, about)
        if score is not None:
            checkpoints.add_metrics(step, {"test/loss": 1.0, "score": score})
    checkpoints.close()
    return checkpoint.Checkpoints(workdir, read_only=True)


@pytest.mark.parametrize(
    ("keep_last", "keep_best", "kept"),
    [
        (1, 0, [6]),
        (2, 0, [5, 6]),
        (1, 1, [2, 6]),
        (2, 2, [2, 4, 5, 6]),
        (1, 3, [2, 4, 5, 6]),
        (1, 9, [1, 2, 4, 5, 6]),
    ],
)
def test_best_and_last_are_kept(tmp_path, keep_last, keep_best, kept):
    scores = [1.0, 9.0, None, 8.0, 5.0, None]
    found = save(tmp_path, scores, keep_last, keep_best)
    assert found.steps() == kept and found.latest_step() == 6


def test_best_and_last_of_a_run_are_kept_and_found(tmp_path):
    # A rate that overshoots: the first evaluation is the best.
    settings = dataclasses.replace(regression.SETTINGS, keep_last=1, eval_every=2)
    regression.train(regression.make_task(), tmp_path, settings, rate=0.2)
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    scores = {
        row["step"]: row["score"] for row in map(json.loads, rows) if "score" in row
    }
    best = max(scores, key=scores.get)
    assert best != 6 and checkpoints.steps() == sorted({best, 6})
    assert checkpoint.load_variables(tmp_path, "best")[2].name == str(best)
    assert checkpoint.load_variables(tmp_path)[2].name == "6"
    folder = tmp_path / "checkpoints" / str(best)
    assert checkpoint.load_variables(folder)[2] == folder
    with pytest.raises(FileNotFoundError, match=f"'5'.*{best}, 6"):
        checkpoint.load_variables(tmp_path, "5")


def test_numbers_of_an_evaluation_come_after_the_checkpoint(tmp_path):
    found = save(tmp_path, [None, 3.0], keep_last=2)
    assert found.metrics(1) == {}
    assert found.metrics(2) == {"test/loss": 1.0, "score": 3.0}
    written = tmp_path / "checkpoints" / "2" / "evaluation.json"
    assert json.loads(written.read_text())["score"] == 3.0
    assert not list(tmp_path.rglob("*.part"))


def test_second_save_of_a_step_changes_nothing(tmp_path):
    save(tmp_path, [3.0])
    found = save(tmp_path, [None])
    assert found.metrics(1)["score"] == 3.0


def test_what_is_saved_is_restored_whole(tmp_path):
    found = save(tmp_path, [1.0])
    items = found.restore(1, variables=found.abstract(1, "variables"))
    array = items["variables"]["params"]["m"]["w"]
    np.testing.assert_array_equal(array, VARIABLES["params"]["m"]["w"])
    assert len(array.devices()) == jax.device_count()
    assert found.about(1) == {"config": {"n": 1}}


def test_other_arrays_are_refused_naming_them(tmp_path):
    found = save(tmp_path, [1.0])
    wanted = {
        "params": {
            "m": {"w": jax.ShapeDtypeStruct((2, 4), np.float32)},
            "n": {"b": jax.ShapeDtypeStruct((2,), np.float32)},
        }
    }
    with pytest.raises(ValueError, match="in 2 arrays") as error:
        found.restore(1, variables=wanted)
    assert "params/m/w: ((2, 3), 'float32') in the checkpoint" in str(error.value)
    assert "params/n/b: only in this model" in str(error.value)


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="No checkpoints in .*--workdir"):
        checkpoint.load_variables(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_without_an_evaluation_no_checkpoint_is_the_best(tmp_path):
    regression.train(regression.make_task(), tmp_path)
    for path in tmp_path.glob("checkpoints/*/evaluation.json"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="was evaluated.*'latest' or one of"):
        checkpoint.load_variables(tmp_path, "best")


@pytest.mark.parametrize("is_read_only", [True, False])
def test_damaged_checkpoint_is_named_with_those_that_are_whole(tmp_path, is_read_only):
    save(tmp_path, [1.0, 2.0, 3.0], keep_last=3)
    shutil.rmtree(tmp_path / "checkpoints/3/variables")
    with contextlib.closing(
        checkpoint.Checkpoints(tmp_path, 3, read_only=is_read_only)
    ) as found:
        wanted = found.abstract(1, "variables")
        with pytest.raises(ValueError, match="3 is damaged: variables can't") as error:
            found.restore(3, variables=wanted)
    flag = "--step=2" if is_read_only else "--resume_from=2"
    assert "Whole are those of steps 1, 2: " in str(error.value)
    assert flag in str(error.value)


@pytest.mark.parametrize("is_optimizer", [True, False])
def test_state_that_is_not_finite_is_refused(tmp_path, is_optimizer):
    bad = {"m": {"w": np.float32([1, np.nan])}}
    with contextlib.closing(checkpoint.Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(1, VARIABLES, OPTIMIZER, {})
        variables = VARIABLES if is_optimizer else {"params": bad}
        optimizer = bad if is_optimizer else OPTIMIZER
        name = "optimizer/m/w" if is_optimizer else "variables/params/m/w"
        message = (
            f"{name} is not finite after step 2.*newest checkpoint is that of step 1"
        )
        with pytest.raises(FloatingPointError, match=message):
            checkpoints.save(2, variables, optimizer, {})
    assert checkpoint.Checkpoints(tmp_path, read_only=True).steps() == [1]


def test_damaged_evaluation_is_named(tmp_path):
    regression.train(regression.make_task(), tmp_path)
    path = tmp_path / "checkpoints" / "6" / "evaluation.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(ValueError, match="6/evaluation.json is damaged.*remove it"):
        checkpoint.load_variables(tmp_path, "best")
    checkpoint.load_variables(tmp_path)
