"""Released models: every name, the same outputs at a small size, and back again."""

import json

import numpy as np
import oracles
import pytest

from configs import imagenet
from perceiver_jax.pretrained import (
    deepmind,
    files,
    huggingface,
    huggingface_config,
    rules,
)
from scripts import convert_pretrained
from scripts.convert_pretrained import MODELS

TABLES = [
    *(model.deepmind for model in MODELS.values()),
    *(model.huggingface for model in MODELS.values()),
    deepmind.VIDEO_AUTOENCODING,
    huggingface.VIDEO_AUTOENCODING,
]


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for path, array in found.items():
        assert array.dtype == expected[path].dtype, path
        np.testing.assert_array_equal(array, expected[path], err_msg=path)


@pytest.mark.parametrize(("name", "file"), oracles.DEEPMIND.items())
def test_deepmind_outputs_and_the_way_back(name, file):
    path = oracles.DATA / f"{file}.npz"
    theirs = oracles.read_flat(path)
    ours = rules.to_ours(theirs, MODELS[name].deepmind)
    config = oracles.small_config(name)
    convert_pretrained.check_shapes(
        ours, convert_pretrained.expected_shapes(config), str(path)
    )
    batch, expected = oracles.load(path)
    assert oracles.relative_error(oracles.run(config, ours, batch), expected) <= 1e-4
    assert_same(rules.to_theirs(ours, MODELS[name].deepmind), theirs)


@pytest.mark.parametrize(("name", "folder"), oracles.HUGGINGFACE.items())
def test_huggingface_outputs_and_the_way_back(name, folder):
    folder = oracles.DATA / "huggingface" / folder
    theirs = files.read_safetensors(folder / "model.safetensors")
    their_config = json.loads((folder / "config.json").read_text())
    found, fields = huggingface_config.from_config(their_config)
    assert found == name
    config = MODELS[name].get_config()
    config.update_from_flattened_dict(fields)
    ours = huggingface.from_arrays(theirs, MODELS[name].huggingface)
    batch, expected = oracles.load(folder / "io.npz")
    if name == "optical_flow":
        expected = 20 * expected  # they stop before the legacy factor: see README there
    assert oracles.relative_error(oracles.run(config, ours, batch), expected) <= 1e-4
    assert_same(huggingface.to_arrays(ours, MODELS[name].huggingface), theirs)
    channels = ours["encoder/cross_attention/input_norm/scale"].shape[0]
    back, differs = huggingface_config.to_config(
        name, config.model.to_dict(), 7, channels
    )
    assert not differs
    assert {k: v for k, v in back.items() if their_config[k] != v} == {}


def test_both_meanings_of_a_text_can_be_had():
    """Hugging Face's padded positions query the latents too, DeepMind's do not."""
    folder = oracles.DATA / "huggingface" / "mlm"
    theirs = files.read_safetensors(folder / "model.safetensors")
    ours = huggingface.from_arrays(theirs, huggingface.MASKED_LM)
    _, fields = huggingface_config.from_config(
        json.loads((folder / "config.json").read_text())
    )
    batch, expected = oracles.load(folder / "io.npz")
    config = MODELS["byte_mlm"].get_config()
    config.update_from_flattened_dict(fields | {"model.mask_queries": True})
    found = oracles.run(config, ours, batch)
    valid = batch["token_mask"].astype(bool)
    assert valid.any() and not valid.all()
    assert oracles.relative_error(found[valid], expected[valid]) <= 1e-4
    assert oracles.relative_error(found[~valid], expected[~valid]) > 1e-2


@pytest.mark.parametrize(("name", "listed"), oracles.LISTS.items())
def test_released_names_and_shapes_are_exactly_our_parameters(name, listed):
    theirs = oracles.released_shapes(listed)
    config = MODELS[name].get_config()
    ours = rules.to_ours(theirs, MODELS[name].deepmind)
    convert_pretrained.check_shapes(
        ours, convert_pretrained.expected_shapes(config), listed
    )
    back = rules.to_theirs(ours, MODELS[name].deepmind)
    assert {k: x.shape for k, x in back.items()} == {
        k: x.shape for k, x in theirs.items()
    }


def test_video_names_and_shapes_go_there_and_back():
    theirs = oracles.released_shapes("video")
    ours = rules.to_ours(theirs, deepmind.VIDEO_AUTOENCODING)
    assert sum(x.size for x in ours.values()) == 19_858_855
    assert ours["processor/block/layers/self_attention/mlp/hidden/w"].shape[0] == 8
    back = rules.to_theirs(ours, deepmind.VIDEO_AUTOENCODING)
    assert {k: x.shape for k, x in back.items()} == {
        k: x.shape for k, x in theirs.items()
    }
    there = huggingface.to_arrays(ours, huggingface.VIDEO_AUTOENCODING)
    assert there["perceiver.decoder.decoder.final_layer.weight"].shape == (512, 1026)


@pytest.mark.parametrize("model", [*oracles.LISTS, "video"])
def test_names_are_the_same_in_both_worlds(model):
    """Against a list that was made by loading both, not by our tables."""
    listed = {"optical_flow": "flow", "byte_mlm": "mlm"}.get(model, model)
    their, other = (
        (deepmind.VIDEO_AUTOENCODING, huggingface.VIDEO_AUTOENCODING)
        if model == "video"
        else (MODELS[model].deepmind, MODELS[model].huggingface)
    )
    by_ours = {rule.ours: rule for rule in other}
    lines = (oracles.DATA / "huggingface_names.tsv").read_text().splitlines()
    expected = {}
    for row in (line.split("\t") for line in lines if not line.startswith("#")):
        if row[0] == listed:
            key = row[3][1:] if row[3].startswith("!") else f"perceiver.{row[3]}"
            expected[f"{row[1]}/{row[2]}"] = key
    assert len(expected) > 70
    found = {
        rule.their_path(layer): by_ours[rule.ours].their_path(layer)
        for rule in their
        if rule.ours in by_ours
        for layer in range(2)
    }
    assert {path: found[path] for path in expected} == expected


@pytest.mark.parametrize("table", TABLES)
def test_table_names_each_array_once(table):
    for side in zip(*[(rule.ours, rule.theirs) for rule in table]):
        assert len(set(side)) == len(side)


@pytest.mark.parametrize("table", TABLES)
def test_arrays_that_no_rule_names_are_all_named(table):
    extra = {"other/w": np.zeros(3), "another/b": np.zeros((2, 4))}
    for convert in (rules.to_ours, rules.to_theirs):
        with pytest.raises(ValueError, match=r"(?s)2 arrays.*another/b.*other/w"):
            convert(extra, table)


def test_layers_with_a_gap_are_refused():
    names = "perceiver_encoder/~/self_attention{}/mlp/linear/b"
    layers = {names.format(n): np.zeros(3) for n in ("", "_1", "_3")}
    with pytest.raises(ValueError, match="self_attention_3/mlp/linear/b"):
        rules.to_ours(layers, deepmind.IMAGENET)


def test_layers_of_different_shapes_are_refused():
    names = "perceiver_encoder/~/self_attention{}/mlp/linear/b"
    layers = {names.format(n): np.zeros(size) for n, size in (("", 3), ("_1", 4))}
    with pytest.raises(ValueError, match="differ in shape"):
        rules.to_ours(layers, deepmind.IMAGENET)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("image_preprocessor/~/conv2_d/w", deepmind.IMAGENET),
        ("perceiver.input_preprocessor.convnet_1x1.weight", huggingface.IMAGENET),
    ],
)
def test_kernel_that_is_no_linear_map_is_refused(path, table):
    with pytest.raises(ValueError, match=r"shape \(3, 3, 3, 8\) is no 1x1"):
        rules.to_ours({path: np.zeros((3, 3, 3, 8))}, table)


@pytest.mark.parametrize("variant", ["learned", "conv"])
def test_images_of_huggingface_go_there_and_back(variant):
    """Layouts that the small oracles do not have, on random arrays."""
    config = imagenet.get_config(variant)
    table = MODELS[f"imagenet_{variant}"].huggingface
    shapes = convert_pretrained.expected_shapes(config)
    rng = np.random.default_rng(0)
    ours = {
        path: rng.normal(size=[min(n, 8) for n in shape]).astype(np.float32)
        for shape_of in shapes.values()
        for path, shape in shape_of.items()
    }
    for path in ours:
        if path.endswith("counter"):
            ours[path] = np.int32(1000)  # the average is settled
    for path in ours:
        if path.endswith("hidden"):
            ours[path] = ours[path.replace("hidden", "average")]
    theirs = huggingface.to_arrays(ours, table)
    assert_same(huggingface.from_arrays(theirs, table), ours)


def test_fields_that_huggingface_can_not_have_are_named():
    model = imagenet.get_config("fourier").model
    model.num_bands = 4
    model.permute = True
    with pytest.raises(ValueError, match=r"num_bands=4 \(there: 64\).*|permute=True"):
        huggingface_config.to_config("imagenet_fourier", model.to_dict(), 10, 21)


def test_export_says_where_numbers_will_differ():
    model = imagenet.get_config("learned").model
    theirs, differs = huggingface_config.to_config(
        "imagenet_learned", model.to_dict(), 10, 512
    )
    assert differs == ["decoder_query_residual"]
    assert theirs["hidden_act"] == "gelu_pytorch_tanh"
    assert theirs["image_size"] == 224 and theirs["d_model"] == 512
    _, fields = huggingface_config.from_config(theirs | {"image_size": 48})
    assert fields["data.image_size"] == fields["model.max_resolution"] == (48, 48)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["BertModel"]}, "BertModel"),
        ({"hidden_act": "relu"}, "relu"),
        ({"cross_attention_shape_for_attention": "q"}, "kv"),
        ({"use_query_residual": False}, "use_query_residual"),
    ],
)
def test_configs_of_other_models_are_refused(change, message):
    path = oracles.DATA / "huggingface" / "mlm" / "config.json"
    with pytest.raises(ValueError, match=message):
        huggingface_config.from_config(json.loads(path.read_text()) | change)
