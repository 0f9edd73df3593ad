"""A run that was stopped goes on as if it never had been, or says why it can not."""

import dataclasses

import numpy as np
import programs
import pytest
import regression

from perceiver_jax.engine import checkpoint, keeper, training

# Windows of metrics that go over checkpoints, and checkpoints over evaluations.
SETTINGS = training.Settings(
    total_steps=8,
    batch_size=8,
    log_every=3,
    eval_every=4,
    checkpoint_every=2,
    keep_last=10,
)


class Killed(Exception):
    pass


def killed(*_):
    raise Killed


def train(workdir, task=None, **options):
    regression.train(task or regression.make_task(), workdir, SETTINGS, **options)


def saved(workdir, step):
    checkpoints = checkpoint.Checkpoints(workdir, read_only=True)
    items = {k: checkpoints.abstract(step, k) for k in ("variables", "optimizer")}
    arrays = checkpoint.leaves(dict(checkpoints.restore(step, **items).items()))
    return arrays, checkpoints.metrics(step)


def assert_equal_runs(one, other):
    assert programs.rows(one) == programs.rows(other)
    (left, numbers), (right, same) = saved(one, 8), saved(other, 8)
    assert numbers == same and left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    workdir = tmp_path_factory.mktemp("whole")
    train(workdir)
    return workdir


def test_each_row_is_written_once(whole):
    rows = programs.rows(whole)
    trained = [row["step"] for row in rows if "train/loss" in row]
    evaluated = [row["step"] for row in rows if "test/loss" in row]
    assert (trained, evaluated) == ([3, 6, 8], [4, 8]) and len(rows) == 5


@pytest.mark.parametrize("step", [4, 8])
@pytest.mark.parametrize(
    "place",
    [
        (keeper.Keeper, "evaluate"),  # after the checkpoint
        (checkpoint.Checkpoints, "add_metrics"),  # after some of its results
    ],
)
def test_run_killed_between_a_checkpoint_and_its_evaluation(
    whole, tmp_path, monkeypatch, step, place
):
    owner, name = place
    original = getattr(owner, name)

    def until(self, at, what):
        return killed() if at == step else original(self, at, what)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, until)
        with pytest.raises(Killed):
            train(tmp_path)
    assert checkpoint.Checkpoints(tmp_path, read_only=True).latest_step() == step
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


@pytest.mark.parametrize("step", [1, 3, 4, 8])
def test_run_that_lost_its_machine(whole, tmp_path, monkeypatch, step):
    regression.train_until(monkeypatch, step, lambda: train(tmp_path))
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    assert checkpoints.latest_step() == step and not checkpoints.metrics(step)
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


def test_run_killed_while_it_wrote_a_row(whole, tmp_path, monkeypatch):
    regression.train_until(monkeypatch, 5, lambda: train(tmp_path))
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "train/loss": 1.0}\n{"step": 7, "tr')
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


def test_longer_training_goes_on_after_the_last_evaluation(whole, tmp_path):
    short = dataclasses.replace(SETTINGS, total_steps=4)
    regression.train(regression.make_task(), tmp_path, short)
    train(tmp_path)
    evaluations = [
        [row for row in programs.rows(run) if "test/loss" in row]
        for run in (tmp_path, whole)
    ]
    assert evaluations[0] == evaluations[1]
