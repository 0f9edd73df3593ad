"""A run that was stopped goes on as if it never had been, or says why it can not."""

import contextlib
import dataclasses
import shutil

import numpy as np
import programs
import pytest
import regression

from perceiver_jax.engine import keeper, training
from perceiver_jax.engine.checkpoints import checkpoint, named_arrays
from perceiver_jax.engine.writer import read_metrics

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


def train(workdir, task=None, run_settings=SETTINGS, **options):
    regression.train(task or regression.make_task(), workdir, run_settings, **options)


def saved(workdir, step):
    checkpoints = checkpoint.Checkpoints(workdir, read_only=True)
    items = {k: checkpoints.abstract(step, k) for k in ("variables", "optimizer")}
    arrays = named_arrays.leaves(dict(checkpoints.restore(step, **items).items()))
    return arrays, checkpoints.metrics(step)


def assert_equal_runs(one, other):
    assert programs.rows(one) == programs.rows(other)
    assert_rows_are_shown(one)
    (left, numbers), (right, same) = saved(one, 8), saved(other, 8)
    assert numbers == same and left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def assert_rows_are_shown(workdir):
    """TensorBoard has each number of metrics.jsonl once, and nothing else."""
    measured = [(tag, step) for tag, step, _ in programs.board(workdir)]
    rows = [
        (tag, r["step"]) for r in read_metrics(workdir) for tag in r if tag != "step"
    ]
    assert sorted(measured) == sorted(rows) and len(set(rows)) == len(rows)


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


@dataclasses.dataclass(frozen=True)
class FailingData(regression.Data):
    """The batch of the step `failing` can't be read."""

    failing: int = 0

    def batches(self, start_step, total_steps):
        batches = super().batches(start_step, total_steps)
        for step, batch in enumerate(batches, start_step + 1):
            if step == self.failing:
                raise OSError("The disk is gone.")
            yield batch


@pytest.mark.parametrize("step", [2, 4, 5])  # after one that is logged, or evaluated
def test_run_whose_data_failed(whole, tmp_path, step):
    data = FailingData(failing=step)
    with pytest.raises(OSError, match="disk is gone"):
        train(tmp_path, dataclasses.replace(regression.make_task(), train=data))
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    assert checkpoints.latest_step() == step - 1
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


def test_run_killed_while_it_wrote_a_row(whole, tmp_path, monkeypatch):
    regression.train_until(monkeypatch, 5, lambda: train(tmp_path))
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "train/loss": 1.0}\n{"step": 7, "tr')
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


def test_run_whose_checkpoints_are_lost_stops_and_keeps_its_rows(tmp_path):
    train(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(FileNotFoundError, match="8 is missing.*metrics.jsonl stays"):
        train(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_run_killed_before_its_first_checkpoint_begins_anew(
    whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "save", killed)
        with pytest.raises(Killed):
            train(tmp_path, run_settings=dataclasses.replace(SETTINGS, log_every=1))
    assert len(read_metrics(tmp_path)) == 2
    train(tmp_path)
    assert_equal_runs(tmp_path, whole)


@pytest.mark.parametrize("file", ["variables/manifest.ocdbt", "about/metadata"])
def test_damaged_newest_checkpoint_changes_nothing_until_one_is_chosen(
    whole, tmp_path, file, capfd
):
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run/checkpoints/8" / file
    path.write_bytes(path.read_bytes()[:40])
    rows = (tmp_path / "run/metrics.jsonl").read_bytes()
    longer = dataclasses.replace(SETTINGS, total_steps=10)
    with pytest.raises(ValueError, match="8 is damaged.*--resume_from=6") as error:
        train(tmp_path / "run", run_settings=longer)
    assert "steps 2, 4, 6" in str(error.value) and "\n" not in str(error.value)
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == rows
    assert capfd.readouterr().err == ""
    with contextlib.closing(checkpoint.Checkpoints(tmp_path / "run")) as checkpoints:
        assert checkpoints.step_to_resume(6) == 6
        checkpoints.set_aside_after(6)
        assert checkpoints.steps() == [2, 4, 6]
    assert (tmp_path / "run/set_aside/8").is_dir()
    train(tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole)


def test_longer_training_goes_on_after_the_last_evaluation(whole, tmp_path):
    short = dataclasses.replace(SETTINGS, total_steps=4)
    regression.train(regression.make_task(), tmp_path, short)
    train(tmp_path)
    evaluations = [
        [row for row in programs.rows(run) if "test/loss" in row]
        for run in (tmp_path, whole)
    ]
    assert evaluations[0] == evaluations[1]
