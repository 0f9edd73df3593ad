"""Runs of a sweep: what their configs say, before and after they begin."""

import fake_sweep
import pytest

from scripts.sweeps import runs


def plan(folder, points, common=()):
    return runs.plan(folder, "configs/digits.py", dict(common), points)


def test_run_has_the_config_that_its_command_asks_for(tmp_path):
    points = [{"optimizer.learning_rate": "1e-3", "data.image_size": "(4,4)"}]
    (run,) = plan(tmp_path, points, {"steps": "20"})
    assert run.workdir == tmp_path / "image_size=4x4,learning_rate=0.001"
    assert run.config["optimizer"]["learning_rate"] == 1e-3
    assert (run.config["steps"], run.config["epochs"]) == (20, 0)
    assert run.value("data.image_size") == [4, 4] and run.value("no.field") == ""
    assert run.arguments == [
        "--config=configs/digits.py",
        f"--workdir={run.workdir}",
        "--config.steps=20",
        "--config.optimizer.learning_rate=0.001",
        "--config.data.image_size=(4, 4)",
    ]


def test_all_that_is_wrong_is_named(tmp_path):
    points = [
        {"sed": "1", "batch_size": "16"},
        {"seed": "x", "batch_size": "many"},
        {"seed": "1.5", "batch_size": "16"},
    ]
    with pytest.raises(ValueError) as error:
        plan(tmp_path, points, {"model.remat": "maybe"})
    lines = str(error.value).splitlines()
    starts = ["model.remat=maybe", "sed=1", "seed=x", "batch_size=many", "seed=1.5"]
    assert [line.partition(": ")[0] for line in lines] == starts
    assert 'Did you mean "seed"' in lines[1]


def test_all_values_out_of_range_are_named(tmp_path):
    points = [{"batch_size": "0"}, {"batch_size": "16"}, {"compile": "no"}]
    with pytest.raises(ValueError) as error:
        plan(tmp_path, points)
    assert str(error.value).splitlines() == [
        "batch_size=0 must be at least 1.",
        "compile='no' must be one of jit, pmap.",
    ]
    assert not list(tmp_path.iterdir())


def test_field_is_either_swept_or_the_same_for_all(tmp_path):
    with pytest.raises(ValueError, match="seed is swept, and set for all runs"):
        plan(tmp_path, [{"seed": "1"}], {"seed": "2"})


def test_runs_are_found_again(tmp_path):
    for run in (made := plan(tmp_path, [{"seed": "1"}, {"data.image_size": "(4,4)"}])):
        run.prepare()
    found = runs.find(tmp_path)
    assert {run.name for run in found} == {run.name for run in made}
    assert runs.swept_fields(found) == ["data.image_size", "seed"]
    with pytest.raises(ValueError, match="has no runs of a sweep"):
        runs.find(tmp_path / "elsewhere")


def test_changes_since_a_run_was_begun(tmp_path):
    (run,) = fake_sweep.plan(tmp_path, {"seed": "1"})
    run.prepare()
    (longer,) = fake_sweep.plan(tmp_path, {"seed": "1"}, steps="200")
    assert not longer.changes()  # nothing has been trained
    fake_sweep.checkpoint(run, 40)
    fake_sweep.checkpoint(run, 120)
    assert longer.changes() == {"steps": (100, 200)}
    (freer,) = runs.plan(
        tmp_path,
        "configs/digits.py",
        {"steps": "100", "log_every": "1"},
        [{"seed": "1"}],
    )
    assert not freer.changes()
