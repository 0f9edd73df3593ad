"""The loop on a small regression: it learns, logs, evaluates, keeps, and refuses."""

import dataclasses

import jax
import numpy as np
import pytest
import regression

from perceiver_jax.data import sources
from perceiver_jax.data.loader import EvalLoader
from perceiver_jax.engine import window
from perceiver_jax.engine.checkpoints import checkpoint, description, init_from
from perceiver_jax.engine.task import Evaluation
from perceiver_jax.engine.writer import read_metrics

SETTINGS = regression.SETTINGS


def test_training_learns_logs_evaluates_and_keeps_checkpoints(tmp_path):
    regression.train(regression.make_task(), tmp_path)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 6]
    tests = {row["step"]: row for row in rows if "test/loss" in row}
    assert list(tests) == [3, 6]
    assert tests[6]["test/loss"] < tests[3]["test/loss"]
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    assert checkpoints.steps() == [2, 3, 4, 6]
    assert checkpoints.metrics(3) == pytest.approx(
        {k: v for k, v in tests[3].items() if k != "step"}
    )
    assert checkpoints.metrics(3)["score"] == tests[3]["test/closeness"]
    assert checkpoints.metrics(2) == {}
    about = checkpoints.about(6)
    assert about["task"] == "regression" and about["config"] == {"a": 1}
    assert about["git"] and about["versions"]["jax"] == jax.__version__
    assert description.read(tmp_path)["config"] == {"a": 1}
    assert list(tmp_path.glob("tensorboard/events*"))
    table = (tmp_path / "parameters.txt").read_text()
    assert "hidden" in table and "w [3, 3]" in table
    assert table.split()[-1] == str(3 * 3 + 3 + 3 + 1)


def test_training_that_is_done_is_not_begun_again(tmp_path, caplog):
    regression.train(regression.make_task(), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with caplog.at_level("INFO", logger="perceiver_jax"):
        regression.train(regression.make_task(), tmp_path)
    assert f"Nothing to train: {tmp_path} is at step 6" in caplog.text
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_logged_loss_is_that_of_numpy(tmp_path):
    task = regression.make_task()
    settings = dataclasses.replace(SETTINGS, total_steps=1, log_every=1)
    regression.train(task, tmp_path, settings, rate=0.0)
    variables = checkpoint.load_variables(tmp_path)[0]
    first, second = variables["params"]["hidden"], variables["params"]["output"]
    batch = next(task.train.batches(0, 1))
    hidden = batch["x"] @ np.asarray(first["w"]) + np.asarray(first["b"])
    outputs = (hidden @ np.asarray(second["w"]) + np.asarray(second["b"]))[:, 0]
    expected = np.mean((outputs - batch["y"]) ** 2)
    row = next(row for row in read_metrics(tmp_path) if "train/loss" in row)
    assert row["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_data_is_told_how_long_training_is(tmp_path):
    class Short(Exception):
        pass

    class Data:
        num_examples = 64

        def batches(self, start_step, total_steps):
            raise Short(start_step, total_steps)

    task = dataclasses.replace(regression.make_task(), train=Data())
    with pytest.raises(Short) as told:
        regression.train(task, tmp_path)
    assert told.value.args == (0, 6)


def test_non_finite_loss_stops_naming_the_step_and_keeps_the_good_checkpoint(tmp_path):
    message = "loss is nan at step 5;.*newest checkpoint is that of step 4"
    with pytest.raises(window.NonFiniteError, match=message):
        regression.train(regression.make_task(poisoned=5), tmp_path)
    assert checkpoint.Checkpoints(tmp_path, read_only=True).latest_step() == 4
    variables = checkpoint.load_variables(tmp_path)[0]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(variables))


def test_non_finite_loss_before_any_checkpoint_says_so(tmp_path):
    message = "loss is nan at step 1;.*There is no checkpoint yet"
    with pytest.raises(window.NonFiniteError, match=message):
        regression.train(regression.make_task(poisoned=1), tmp_path)


def test_workdir_of_another_task_or_model_is_refused(tmp_path):
    regression.train(regression.make_task(), tmp_path)
    longer = dataclasses.replace(SETTINGS, total_steps=8)
    other = dataclasses.replace(regression.make_task(), name="other")
    with pytest.raises(ValueError, match="task 'regression', not of 'other'"):
        regression.train(other, tmp_path)
    assert description.read(tmp_path)["task"] == "regression"
    with pytest.raises(ValueError, match=r"params/hidden/b: \(\(3,\)") as error:
        regression.train(regression.make_task(width=5), tmp_path, longer)
    assert "--config.init_from" in str(error.value)


def test_converted_checkpoint_has_no_optimizer_to_go_on_with(tmp_path):
    regression.train(regression.make_task(), tmp_path / "parent")
    variables, about, _ = checkpoint.load_variables(tmp_path / "parent")
    checkpoints = checkpoint.Checkpoints(tmp_path / "converted")
    checkpoints.save(0, variables, None, about)
    checkpoints.close()
    with pytest.raises(ValueError, match="converted, not trained"):
        regression.train(regression.make_task(), tmp_path / "converted")


def test_run_starts_from_its_donor(tmp_path, caplog):
    regression.train(regression.make_task(), tmp_path / "parent")
    variables, _, folder = checkpoint.load_variables(tmp_path / "parent")
    donor = init_from.Donor(str(folder), variables, ("output/*",))
    still = dataclasses.replace(SETTINGS, total_steps=1)
    with caplog.at_level("INFO", logger="perceiver_jax"):
        task = regression.make_task()
        regression.train(task, tmp_path / "child", still, rate=0.0, donor=donor)
    child = checkpoint.load_variables(tmp_path / "child")[0]["params"]
    parent = variables["params"]
    np.testing.assert_array_equal(child["hidden"]["w"], parent["hidden"]["w"])
    assert not np.array_equal(child["output"]["w"], parent["output"]["w"])
    assert "2 params loaded" in caplog.text
    assert "2 params skipped: output/b, output/w" in caplog.text


class Fragile:
    """Examples of the regression, of which some are corrupt."""

    def __init__(self, corrupt):
        self._corrupt = corrupt
        self._rows = regression.batch(1000, size=12)

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index in self._corrupt:
            raise sources.CorruptExample(f"row {index}: no numbers")
        return {name: self._rows[name][index] for name in ("x", "y")}


def evaluated_on(corrupt):
    batches = EvalLoader(Fragile(corrupt), dict, 8).batches
    return dataclasses.replace(
        regression.make_task(), evaluations={"test": Evaluation(batches)}
    )


def test_corrupt_examples_are_named_and_counted_in_the_results(tmp_path, caplog):
    one = dataclasses.replace(SETTINGS, total_steps=1)
    with caplog.at_level("INFO", logger="perceiver_jax"):
        regression.train(evaluated_on({3, 9}), tmp_path, one)
    found = checkpoint.Checkpoints(tmp_path, read_only=True).metrics(1)
    assert found["test/left_out"] == 2 and np.isfinite(found["test/loss"])
    assert "row 3: no numbers" in caplog.text and "left_out 2" in caplog.text


def test_evaluation_without_a_good_example_ends_training_after_it_saved(tmp_path):
    task = evaluated_on(range(12))
    with pytest.raises(ValueError, match="All 12 examples to evaluate on are corrupt"):
        regression.train(task, tmp_path)
    assert checkpoint.Checkpoints(tmp_path, read_only=True).steps() == [2, 3]
