"""The rows of all tasks: found by looking, and each with all that programs need."""

import jax
import numpy as np
import oracles
import pytest

from configs import digits, glue, imagenet, masked_lm, optical_flow
from experiments import build, released
from perceiver_jax.pretrained import huggingface_config
from scripts.convert_pretrained import MODELS, released_config


def test_models_are_found_in_the_folders_of_tasks():
    assert list(MODELS) == list(released.find())
    assert list(MODELS) == list(oracles.LISTS)  # each is tested against an oracle
    assert released.of_task("glue") == ()
    assert [model.name for model in released.of_task("masked_lm")] == ["byte_mlm"]


def test_names_are_of_one_model_each():
    for field in ("name", "config", "file"):
        assert len({getattr(model, field) for model in MODELS.values()}) == len(MODELS)
    classes = {model.huggingface.architecture for model in MODELS.values()}
    assert len(classes) == len(MODELS)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (imagenet.get_config("fourier"), "imagenet_fourier"),
        (imagenet.get_config("perceiver"), "imagenet_fourier"),
        (digits.get_config("learned"), "imagenet_learned"),
        (digits.get_config("conv"), "imagenet_conv"),
        (masked_lm.get_config("docs"), "byte_mlm"),
        (optical_flow.get_config("light"), "optical_flow"),
    ],
)
def test_relatives_of_released_models_are_known(config, name):
    assert released.like(config).name == name


def test_what_has_no_relative_is_told_what_has():
    config = digits.get_config("fourier")
    config.model.stem = "patches"
    bert = masked_lm.get_config("bert_base")
    for other in (config, bert, glue.get_config("cola")):
        with pytest.raises(ValueError, match="can't be exported.*masked_lm.py:bytes"):
            released.like(other)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_fields_of_a_row_are_fields_of_its_config(model):
    config = released_config(model)
    row = model.huggingface
    for name in (*row.fixed, *row.numbers, *model.mark):
        assert name in config.model
    for field in row.sizes:
        room, name = field.ours.split(".")
        assert name in config[room]
    assert model.classes is None or model.classes.field in config.data
    assert not row.fixed.keys() & row.numbers.keys()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_released_config_is_exported_and_comes_back(model):
    config = released_config(model)
    theirs, differs = huggingface_config.to_config(model, config.model.to_dict(), 768)
    assert set(differs) <= model.huggingface.numbers.keys()
    fields = huggingface_config.from_config(theirs, model)
    for name, value in config.model.to_dict().items():
        if f"model.{name}" in fields and name not in differs:
            assert fields[f"model.{name}"] == value, name


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_their_arguments_are_made_of_a_batch_of_ours(model):
    shapes = build.make_model(released_config(model)).batch(2)
    batch = {name: np.zeros(x.shape, x.dtype) for name, x in shapes.items()}
    arguments = dict(model.comparison.arguments(model.comparison.prepare(batch)))
    arguments.pop("subsampled_output_points", None)  # the same of all examples
    assert "inputs" in arguments
    for array in jax.tree.leaves(arguments):
        assert len(array) == 2 and array.size > 2
