"""A model from its checkpoint, and the flags that its config makes."""

import jax
import numpy as np
import pytest
from absl import flags
from ml_collections import config_dict, config_flags

from experiments import restore
from perceiver_jax.engine.checkpoints import checkpoint


def test_a_checkpoint_is_its_config_its_variables_and_what_it_says(trained_digits):
    restored = restore.load(trained_digits)
    assert restored.folder == trained_digits / "checkpoints" / "14"
    assert restored.workdir == trained_digits
    assert restored.config.model.num_latents == 4
    assert restored.config.data.image_size == (8, 8)  # JSON's list is a tuple again
    assert restored.identity.class_names["classes"] == [str(n) for n in range(10)]
    saved, _, _ = checkpoint.load_variables(trained_digits)
    for found in (restored.variables, restored.whole_variables):
        jax.tree.map(np.testing.assert_array_equal, found.params, saved["params"])
    best = restore.load(trained_digits, "best").folder
    assert restore.load(best).folder == best


def test_the_task_comes_with_its_data(trained_digits):
    task, forward = restore.load(trained_digits).make_task()
    assert task.name == "imagenet" and task.train.num_examples == 1437
    assert forward.apply


def test_data_with_other_classes_is_refused(trained_digits):
    restored = restore.load(trained_digits)
    names = [*"0123456798"]
    about = {**restored.about, "class_names": {"classes": names}}
    with pytest.raises(ValueError, match="other classes of 'classes': '9', here '8'"):
        restored._replace(about=about).make_task()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"eval_batch_size": 12}, "eval_batch_size=12 is not divisible by 8"),
        ({"data.eval_crop": 2.0}, "data.eval_crop=2.0 must be"),
    ],
)
def test_overrides_are_looked_at(trained_digits, fields, message):
    restored = restore.load(trained_digits)
    restored.config.update_from_flattened_dict(fields)
    with pytest.raises(ValueError, match=message):
        restored.make_task()


def test_another_model_than_the_checkpoint_s_is_refused(trained_digits):
    variables, about, folder = checkpoint.load_variables(trained_digits)
    config = restore.load(trained_digits).config
    config.model.latent_channels = 32
    with pytest.raises(ValueError, match="differs from the one in .*/14 in .* arrays"):
        restore.restore(config, variables, about, folder)
    del config.model["num_latents"]
    with pytest.raises(ValueError, match="another version.*no field.*num_latents"):
        restore.restore(config, variables, about, folder)


def test_a_checkpoint_lives_as_it_was_trained_where_the_devices_can(
    trained_digits, caplog
):
    variables, about, folder = checkpoint.load_variables(trained_digits)
    config = restore.load(trained_digits).config
    config.update(sharding="inputs", sharding_devices=4)
    restored = restore.restore(config, variables, about, folder)
    assert dict(restored.parallel.mesh.shape) == {"data": 2, "inputs": 4}
    assert not caplog.text
    config.sharding_devices = 64
    restored = restore.restore(config, variables, about, folder)
    assert restored.parallel.mode == "replicated"
    assert "sharding_devices=64 must divide" in caplog.text


def test_lists_are_tuples_at_every_depth():
    saved = {"a": [1, [2, 3]], "b": {"c": ["x"]}, "d": "ef", "g": None}
    expected = {"a": (1, (2, 3)), "b": {"c": ("x",)}, "d": "ef", "g": None}
    assert restore.tuples(saved) == expected


# Flags.


@pytest.fixture
def values(monkeypatch):
    """Flags of a program that reads --where first, and of the config found there."""
    values = flags.FlagValues()
    flags.DEFINE_string("where", None, "A place.", flag_values=values)
    flags.DEFINE_multi_string("word", [], "Words.", flag_values=values)
    define = config_flags.DEFINE_config_dict
    monkeypatch.setattr(flags, "FLAGS", values)
    monkeypatch.setattr(
        config_flags,
        "DEFINE_config_dict",
        lambda *args, **more: define(*args, flag_values=values, **more),
    )
    return values


def load_config():
    """What a program does once it knows where."""
    if not flags.FLAGS.where:
        return None
    flags.DEFINE_integer("more", 1, "Of it.", flag_values=flags.FLAGS)
    return config_dict.ConfigDict({"a": 1, "b": {"c": (2, 3), "d": "x"}})


def test_overrides_are_of_the_config_that_the_first_flags_name(values):
    argv = [
        *("program", "first", "--config.b.c=(4,5)", "--word=x", "--where=there"),
        *("--more=7", "--config.a=9", "--word=y", "-", "last"),
    ]
    rest, config = restore.parse_flags(argv, load_config)
    assert rest == ["program", "first", "-", "last"]
    assert config.to_dict() == {"a": 9, "b": {"c": (4, 5), "d": "x"}}
    assert (values.more, values.word) == (7, ["x", "y"])


def test_no_config_is_no_error_of_the_parser(values):
    rest, config = restore.parse_flags(["program", "--word=x", "a"], load_config)
    assert (rest, config) == (["program", "a"], None)


@pytest.mark.parametrize(
    ("flag", "error", "message"),
    [
        ("--config.b.e=1", AttributeError, "'e'"),
        ("--config.a=x", flags.IllegalFlagValueError, "config.a=x"),
        ("--moer=1", flags.UnrecognizedFlagError, "moer.*more"),
    ],
)
def test_mistyped_flags_are_named(values, flag, error, message):
    with pytest.raises(error, match=message):
        restore.parse_flags(["program", "--where=there", flag], load_config)
