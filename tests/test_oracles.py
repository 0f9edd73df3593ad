"""The released ImageNet models: every name, and the same outputs at a small size."""

import json
import pathlib

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import imagenet as configs
from experiments import imagenet
from perceiver_jax.pretrained import deepmind

DATA = pathlib.Path(__file__).parent / "data"
MODELS = ("fourier", "learned", "conv")


def load_oracle(name):
    """Returns the released configuration, and arrays by kind: params, state, ..."""
    released = json.loads((DATA / f"imagenet_{name}.json").read_text())
    trees = {"params": {}, "state": {}, "input": {}, "output": {}}
    with np.load(DATA / f"imagenet_{name}.npz") as arrays:
        for path, array in arrays.items():
            kind, path = path.split("/", 1)
            module, _, leaf = path.rpartition("|")
            trees[kind].setdefault(module, {})[leaf] = array
    return released, trees


def small_config(name, released):
    """Our config of the model that the released configuration describes."""
    config = configs.get_config(name)
    model, encoder = config.model, released["encoder"]
    size = np.array(released["image_size"])
    model.max_resolution = tuple(
        int(n) for n in (size // 4 if name == "conv" else size)
    )
    model.num_bands = released["fourier_bands"]
    if name == "learned":
        channels = released["learned_position_channels"]
        model.stem_channels = channels
        model.position_channels = channels
        model.position_projection = channels
    if name == "conv":
        model.stem_channels = released["conv_channels"]
    model.num_latents = encoder["z_index_dim"]
    model.latent_channels = encoder["num_z_channels"]
    model.num_blocks = encoder["num_blocks"]
    model.layers_per_block = encoder["num_self_attends_per_block"]
    model.num_cross_heads = encoder["num_cross_attend_heads"]
    model.num_self_heads = encoder["num_self_attend_heads"]
    model.cross_widening = encoder["cross_attend_widening_factor"]
    model.self_widening = encoder["self_attend_widening_factor"]
    assert model.decoder_query_residual == released["decoder_query_residual"]
    config.data.num_classes = released["num_classes"]
    return config


def transform(config):
    forward = imagenet.make_forward(config.model, config.data.num_classes, None)
    return hk.without_apply_rng(hk.transform_with_state(forward))


def abstract_init(config, size):
    """Shapes of our parameters and state."""
    images = jnp.zeros((1, *size, 3))
    init = lambda: transform(config).init(jax.random.key(0), {"images": images}, True)
    return jax.eval_shape(init)


def shapes(tree):
    return {
        (module, name): array.shape
        for module, arrays in tree.items()
        for name, array in arrays.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_the_released_architecture(name):
    released, trees = load_oracle(name)
    params, state = (
        deepmind.to_ours(trees[kind], deepmind.IMAGENET) for kind in ("params", "state")
    )
    config = small_config(name, released)
    images = trees["input"][""]["images"]
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(transform(config).apply, static_argnums=3)
        logits, _ = apply(params, state, {"images": images}, False)
    expected = trees["output"][""]["output"]
    error = np.abs(logits - expected).max() / np.abs(expected).max()
    assert error <= 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_names_go_to_ours_and_back_without_a_rest(name):
    released, trees = load_oracle(name)
    ours = [
        deepmind.to_ours(trees[kind], deepmind.IMAGENET) for kind in ("params", "state")
    ]
    config = small_config(name, released)
    expected = abstract_init(config, released["image_size"])
    assert [shapes(tree) for tree in ours] == [shapes(tree) for tree in expected]
    for kind, tree in zip(("params", "state"), ours):
        back = deepmind.to_released(tree, deepmind.IMAGENET)
        assert shapes(back) == shapes(trees[kind])
        jax.tree.map(np.testing.assert_array_equal, back, dict(trees[kind]))


def load_names(kind, name):
    """Zeros for every array in a list of the released weights of full size."""
    tree = {}
    path = DATA / f"{kind}_imagenet_{name}.txt"
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            module, leaf, shape = line.split("\t")
            # Views of one zero: nothing of the size of the model is made here.
            zeros = np.broadcast_to(np.float32(0), json.loads(shape))
            tree.setdefault(module, {})[leaf] = zeros
    return tree


@pytest.mark.parametrize("name", MODELS)
def test_released_names_and_shapes_are_exactly_our_parameters(name):
    params, state = abstract_init(configs.get_config(name), (224, 224))
    ours = deepmind.to_ours(load_names("params", name), deepmind.IMAGENET)
    assert shapes(ours) == shapes(params)
    if name == "conv":
        ours = deepmind.to_ours(load_names("state", name), deepmind.IMAGENET)
        assert shapes(ours) == shapes(state)
    else:
        assert not state


def test_table_names_each_array_once():
    for side in zip(*[(rule.ours, rule.released) for rule in deepmind.IMAGENET]):
        assert len(set(side)) == len(side)


def test_arrays_that_no_rule_names_are_refused():
    for convert in (deepmind.to_ours, deepmind.to_released):
        with pytest.raises(ValueError, match="No rule for other_model/linear/w"):
            convert({"other_model/linear": {"w": np.zeros(3)}}, deepmind.IMAGENET)


def test_layers_with_a_gap_are_refused():
    names = "perceiver_encoder/~/self_attention{}/mlp/linear"
    layers = {names.format(n): {"b": np.zeros(3)} for n in ("", "_1", "_3")}
    with pytest.raises(ValueError, match="self_attention_3/mlp/linear/b"):
        deepmind.to_ours(layers, deepmind.IMAGENET)


def test_kernel_that_is_no_linear_map_is_refused():
    kernel = {"image_preprocessor/~/conv2_d": {"w": np.zeros((3, 3, 3, 8))}}
    with pytest.raises(ValueError, match=r"conv2_d/w has shape \(3, 3, 3, 8\)"):
        deepmind.to_ours(kernel, deepmind.IMAGENET)
