"""Small models with known outputs, in the released architectures (tests/fixtures)."""

import json
import pathlib

import jax
import numpy as np

from experiments import build
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.pretrained import files, rules
from scripts import convert_pretrained

DATA = pathlib.Path(__file__).parent / "fixtures"
FLOAT32 = parse_policy("params=float32,compute=float32,output=float32")

# Our model name: the oracle's name in tests/fixtures.
DEEPMIND = {
    "imagenet_fourier": "imagenet_fourier",
    "imagenet_learned": "imagenet_learned",
    "imagenet_conv": "imagenet_conv",
    "byte_mlm": "mlm",
    "optical_flow": "optical_flow",
}
HUGGINGFACE = {
    "imagenet_fourier": "imagenet_fourier",
    "byte_mlm": "mlm",
    "optical_flow": "optical_flow",
}
# Our model name: the name of its list of released parameters.
LISTS = DEEPMIND | {"optical_flow": "flow", "video_autoencoding": "video"}


def small_fields(name):
    """Our config's fields for DeepMind's small model, from its configuration."""
    released = json.loads((DATA / f"{DEEPMIND[name]}.json").read_text())
    encoder = released["encoder"]
    fields = {
        "num_latents": encoder["z_index_dim"],
        "latent_channels": encoder["num_z_channels"],
        "num_blocks": encoder["num_blocks"],
        "layers_per_block": encoder["num_self_attends_per_block"],
        "num_cross_heads": encoder["num_cross_attend_heads"],
        "num_self_heads": encoder["num_self_attend_heads"],
        "cross_widening": encoder["cross_attend_widening_factor"],
        "self_widening": encoder["self_attend_widening_factor"],
    }
    if name == "byte_mlm":
        decoder = released["decoder"]
        fields |= {
            "qk_channels": encoder["qk_channels"],
            "v_channels": encoder["v_channels"],
            "input_channels": released["embedding_channels"],
            "max_length": released["sequence_length"],
            "num_decoder_heads": decoder["num_heads"],
            "decoder_qk_channels": decoder["qk_channels"],
            "decoder_v_channels": decoder["v_channels"],
        }
    else:
        size = np.array(released["image_size"])
        cells = size // 4 if name == "imagenet_conv" else size
        fields["max_resolution"] = tuple(cells.tolist())
        fields["num_bands"] = released.get("fourier_bands", 64)
    if name == "optical_flow":
        fields["image_size"] = tuple(size.tolist())
    if name == "imagenet_learned":
        channels = released["learned_position_channels"]
        for field in ("stem_channels", "position_channels", "position_projection"):
            fields[field] = channels
    if name == "imagenet_conv":
        fields["stem_channels"] = released["conv_channels"]
    fields = {f"model.{field}": value for field, value in fields.items()}
    if name.startswith("imagenet"):
        fields["data.num_classes"] = released["num_classes"]
        fields["data.image_size"] = tuple(size.tolist())
    if name == "byte_mlm":
        fields["data.length"] = released["sequence_length"]
    return fields


def small_config(name):
    """Our config of DeepMind's small model."""
    config = convert_pretrained.released_config(convert_pretrained.MODELS[name])
    config.precision = convert_pretrained.PRECISION
    config.update_from_flattened_dict(small_fields(name))
    return config


def load(path):
    """The example beside the weights in an .npz: our batch, and its output."""
    with np.load(path) as arrays:
        inputs = {k.split("/")[1]: x for k, x in arrays.items() if k.startswith("in")}
        output = arrays["output/output" if "output/output" in arrays else "output"]
    inputs = {k.rpartition("|")[2]: x for k, x in inputs.items()}
    if "mask" in inputs:
        inputs["token_mask"] = inputs.pop("mask")
    return inputs, output


def run(config, arrays, batch):
    """The model's output for {path: array}."""
    forward = make_forward(build.make_model(config).forward, FLOAT32)
    shapes = convert_pretrained.expected_shapes(config)
    params, state = (
        rules.unflatten({path: arrays[path] for path in shapes[kind]})
        for kind in ("params", "model_state")
    )
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(forward.apply, static_argnums=4)
        return np.asarray(apply(params, state, None, batch, False)[0])


def assert_same(found, expected):
    """Two {path: array} to the bit."""
    assert found.keys() == expected.keys()
    for path, array in found.items():
        assert array.dtype == expected[path].dtype, path
        np.testing.assert_array_equal(array, expected[path], err_msg=path)


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def read_flat(path):
    """A DeepMind file's parameters and state by path."""
    trees = files.read_deepmind(path)
    return {k: x for tree in trees.values() for k, x in rules.flatten(tree).items()}


def read_list(name):
    """(module, name, shape) of every array in a list of released parameters."""
    for line in (DATA / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            module, leaf, shape = line.split("\t")
            yield module, leaf, tuple(json.loads(shape))


def released_shapes(name):
    """{path: zeros} of the released weights of full size, parameters and state."""
    names = [f"params_{name}"] + [f"state_{name}"] * (name == "imagenet_conv")
    return {
        # Views of one zero: nothing of the size of the model is made here.
        f"{module}/{leaf}": np.broadcast_to(np.float32(0), shape)
        for listed in names
        for module, leaf, shape in read_list(listed)
    }


def check_names(listed, deepmind, huggingface):
    """Two tables of a model against the list of its names in both worlds."""
    lines = (DATA / "huggingface_names.tsv").read_text().splitlines()
    expected = {}
    for row in (line.split("\t") for line in lines if not line.startswith("#")):
        if row[0] == listed:
            key = row[3][1:] if row[3].startswith("!") else f"perceiver.{row[3]}"
            expected[f"{row[1]}/{row[2]}"] = key
    assert len(expected) > 70
    by_ours = {rule.ours: rule for rule in huggingface}
    found = {
        rule.their_path(layer): by_ours[rule.ours].their_path(layer)
        for rule in deepmind
        if rule.ours in by_ours
        for layer in range(2)
    }
    assert {path: found[path] for path in expected} == expected
