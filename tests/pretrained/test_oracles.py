"""Released models: every name, the same outputs at a small size, and back again."""

import json

import numpy as np
import oracles
import pytest

from perceiver_jax.pretrained import files, huggingface, huggingface_config, rules
from scripts.convert_pretrained import MODELS, config_of, expected_shapes
from scripts.convert_pretrained import released_config as config_like


def check_shapes(found, config, where):
    expected = expected_shapes(config)
    rules.check_shapes(found, expected["params"] | expected["model_state"], where)


@pytest.mark.parametrize(("name", "file"), oracles.DEEPMIND.items())
def test_deepmind_outputs_and_the_way_back(name, file):
    path = oracles.DATA / f"{file}.npz"
    theirs = oracles.read_flat(path)
    ours = rules.to_ours(theirs, MODELS[name].deepmind)
    config = oracles.small_config(name)
    check_shapes(ours, config, str(path))
    batch, expected = oracles.load(path)
    assert oracles.relative_error(oracles.run(config, ours, batch), expected) <= 1e-4
    oracles.assert_same(rules.to_theirs(ours, MODELS[name].deepmind), theirs)


@pytest.mark.parametrize(("name", "folder"), oracles.HUGGINGFACE.items())
def test_huggingface_outputs_and_the_way_back(name, folder):
    folder = oracles.DATA / "huggingface" / folder
    model = MODELS[name]
    theirs = files.read_safetensors(folder / "model.safetensors")
    their_config = json.loads((folder / "config.json").read_text())
    assert huggingface_config.identify(their_config, MODELS.values()) == model
    config = config_of(folder, None)
    ours = huggingface.from_arrays(theirs, model.huggingface.rules)
    batch, expected = oracles.load(folder / "io.npz")
    expected = model.comparison.outputs(expected)
    assert oracles.relative_error(oracles.run(config, ours, batch), expected) <= 1e-4
    oracles.assert_same(huggingface.to_arrays(ours, model.huggingface.rules), theirs)
    channels = ours["encoder/cross_attention/input_norm/scale"].shape[0]
    back, differs = huggingface_config.to_config(
        model, config.model.to_dict(), channels, 7
    )
    assert not differs
    assert {k: v for k, v in back.items() if their_config[k] != v} == {}


@pytest.mark.parametrize(("name", "listed"), oracles.LISTS.items())
def test_released_names_and_shapes_are_exactly_our_parameters(name, listed):
    theirs = oracles.released_shapes(listed)
    ours = rules.to_ours(theirs, MODELS[name].deepmind)
    check_shapes(ours, config_like(MODELS[name]), listed)
    back = rules.to_theirs(ours, MODELS[name].deepmind)
    assert {k: x.shape for k, x in back.items()} == {
        k: x.shape for k, x in theirs.items()
    }


@pytest.mark.parametrize(("name", "listed"), oracles.LISTS.items())
def test_names_are_the_same_in_both_worlds(name, listed):
    """Against a list that was made by loading both, not by our tables."""
    model = MODELS[name]
    oracles.check_names(listed, model.deepmind, model.huggingface.rules)


@pytest.mark.parametrize(
    "table",
    [table for m in MODELS.values() for table in (m.deepmind, m.huggingface.rules)],
)
def test_table_names_each_array_once(table):
    for side in zip(*[(rule.ours, rule.theirs) for rule in table]):
        assert len(set(side)) == len(side)
    extra = {"other/w": np.zeros(3), "another/b": np.zeros((2, 4))}
    for convert in (rules.to_ours, rules.to_theirs):
        with pytest.raises(ValueError, match=r"(?s)2 arrays.*another/b.*other/w"):
            convert(extra, table)
