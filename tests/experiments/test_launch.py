"""What is looked at, told and handed on before training begins."""

import pathlib

import pytest
import small_digits

from experiments import launch
from perceiver_jax.engine import training
from perceiver_jax.engine.checkpoints import checkpoint, description


@pytest.fixture
def handed_on(monkeypatch):
    """What `train` gives the engine, which then does nothing."""
    found = []
    monkeypatch.setattr(training, "train", lambda *args: found.append(args))
    return found


def test_the_engine_gets_what_the_config_says(handed_on, tmp_path):
    config = small_digits.get_config(keep_best=3)
    launch.train(config, tmp_path / "a" / "run", allow_changes=True)
    ((task, update, parallel, settings, run, _),) = handed_on
    assert task.name == "imagenet" and update.seed == 0
    assert parallel.mesh.size == 8
    assert (settings.total_steps, settings.keep_best) == (4, 3)
    assert run.workdir.is_dir() and run.allow_changes and run.donor is None
    assert run.about["config"]["data"]["image_size"] == [8, 8]
    assert run.about["class_names"] == {"classes": [str(n) for n in range(10)]}
    assert {"log_every", "data.num_workers"} <= set(run.free)
    assert not {"seed", "batch_size"} & set(run.free)


def test_the_parent_is_kept(handed_on, trained_digits, tmp_path):
    config = small_digits.get_config(
        init_from=str(trained_digits), init_skip=("decoder/*",)
    )
    launch.train(config, tmp_path)
    run = handed_on[0][4]
    parent = str(trained_digits / "checkpoints" / "14")
    assert run.donor.name == run.about["parent"] == parent
    assert run.donor.skip == ("decoder/*",)


def test_a_parent_with_other_tokens_is_refused(handed_on, monkeypatch, tmp_path):
    saved = {"vocabulary": "bytes"}
    loaded = ({"params": {}, "model_state": {}}, saved, tmp_path)
    monkeypatch.setattr(checkpoint, "load_variables", lambda path: loaded)
    told = []
    monkeypatch.setattr(
        description, "check_vocabulary", lambda *args: told.append(args)
    )
    launch.train(small_digits.get_config(init_from="elsewhere"), tmp_path)
    assert told == [(saved, "", str(tmp_path))]


def test_a_batch_of_more_than_there_is_is_told(handed_on, tmp_path, caplog):
    launch.train(small_digits.get_config(batch_size=2880), tmp_path)
    assert len(handed_on) == 1
    assert "batch_size=2880 is more than the 1437 examples" in caplog.text
    assert "about 2 times" in caplog.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": -4}, "batch_size=-4 must be at least 1"),
        ({"batch_size": 12}, "batch_size=12 is not divisible by 8 devices"),
        ({"accumulate": 4}, "8 devices x 4 accumulated parts: choose a multiple of 32"),
        ({"eval_batch_size": 12}, "eval_batch_size=12 is not divisible"),
        ({"compile": "gmap"}, "compile='gmap' must be one of jit, pmap"),
        ({"compile": "pmap", "sharding": "fsdp"}, "sharding='fsdp' needs compile="),
        ({"sharding": "inputs", "sharding_devices": 3}, "must divide the 8 devices"),
        ({"sharding": "tensor", "model__num_self_heads": 4}, "key/. has 4 heads"),
        ({"model__num_self_heads": 3}, "num_heads=3"),
        ({"model__num_cross_attends": 3}, "num_cross_attends=3"),
        ({"init_from": "/none"}, "No checkpoints in /none"),
        ({"steps": 3, "epochs": 1.0}, "steps=3 and epochs=1.0"),
        ({"optimizer__learning_rate": float("nan")}, "learning_rate=nan must be"),
    ],
)
def test_bad_configs_end_before_anything_is_written(
    handed_on, tmp_path, fields, message
):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        launch.train(small_digits.get_config(**fields), tmp_path / "run")
    assert not handed_on and not (tmp_path / "run").exists()


def test_a_workdir_that_is_a_file_is_named(handed_on, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(ValueError, match=f"--workdir={path} is a file: name a folder"):
        launch.train(small_digits.get_config(), path)
    assert path.read_text() == "mine"


def test_a_workdir_in_a_bucket_is_refused(handed_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="gs:/bucket/run is no folder of this machine"):
        launch.train(small_digits.get_config(), pathlib.Path("gs://bucket/run"))
    assert not handed_on and not list(tmp_path.iterdir())
