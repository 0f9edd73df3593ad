"""The released autoencoder at a small size: its outputs, and its way there and back."""

import json

import jax
import numpy as np
import oracles
import pytest

from experiments import build
from perceiver_jax.engine.checkpoints import checkpoint, description
from perceiver_jax.engine.forward import make_forward
from perceiver_jax.engine.task import Identity
from perceiver_jax.pretrained import huggingface_config, rules
from scripts import convert_pretrained

MODEL = convert_pretrained.MODELS["video_autoencoding"]
SMALL = json.loads((oracles.DATA / "video_autoencoding.json").read_text())
ORACLE = oracles.DATA / "video_autoencoding.npz"


def small_fields():
    """Our config's fields for DeepMind's small model, from its configuration."""
    encoder, side = SMALL["encoder"], SMALL["image_size"]
    cells = side // SMALL["patch"][1]
    return {
        "model.num_latents": encoder["z_index_dim"],
        "model.latent_channels": encoder["num_z_channels"],
        "model.layers_per_block": encoder["num_self_attends_per_block"],
        "model.num_self_heads": encoder["num_self_attend_heads"],
        "model.num_frames": SMALL["frames"],
        "model.image_size": (side, side),
        "model.samples_per_frame": SMALL["audio_samples_per_frame"],
        "model.audio_patch": SMALL["samples_per_patch"],
        "model.audio_bands": SMALL["audio_bands"],
        "model.video_bands": SMALL["video_bands"],
        "model.video_max_resolution": (cells, cells),
        "model.label_query_channels": SMALL["label_query_channels"],
        "model.decoder_channels": SMALL["decoder_output_channels"],
        "data.num_classes": SMALL["num_classes"],
    }


def oracle_batch(oracle):
    """Their inputs; frames are floats there."""
    return {
        "audio": oracle["input/audio"],
        "video": oracle["input/images"],
        "label": np.zeros((2, SMALL["num_classes"]), np.float32),
        "label_hidden": np.ones(2, bool),
    }


def test_outputs_are_those_of_the_released_code():
    """Of the points that they chose; and all at once or in chunks is the same."""
    theirs = oracles.read_flat(ORACLE)
    ours = rules.to_ours(theirs, MODEL.deepmind)
    config = convert_pretrained.released_config(MODEL)
    config.precision = convert_pretrained.PRECISION
    config.update_from_flattened_dict(small_fields())
    with np.load(ORACLE) as oracle:
        batch = oracle_batch(oracle)
        points = {
            "audio_points": oracle["input/sub_audio"][None],
            "video_points": oracle["input/sub_image"][None],
        }
        names = {"audio": "audio", "video": "image", "label": "label"}
        expected = {ours: oracle[f"output/{there}"] for ours, there in names.items()}
    found = run(config, ours, {**batch, **points})
    for name, output in expected.items():
        of_it = np.asarray(found[name]).reshape(output.shape)
        assert oracles.relative_error(of_it, output) <= 1e-4, name
    whole = run(config, ours, batch)
    config.model.query_chunk = 7
    in_chunks = run(config, ours, batch)
    shuffled = np.random.default_rng(0).permutation(whole["video"].shape[1])
    config.model.query_chunk = 11
    another_way = run(config, ours, {**batch, "video_points": shuffled[None]})
    for name, x in whole.items():
        np.testing.assert_allclose(in_chunks[name], x, atol=1e-5)
    np.testing.assert_allclose(
        another_way["video"], whole["video"][:, shuffled], atol=1e-5
    )
    asked = points["video_points"][0]
    np.testing.assert_allclose(found["video"], whole["video"][:, asked], atol=1e-5)
    oracles.assert_same(rules.to_theirs(ours, MODEL.deepmind), theirs)


def run(config, arrays, batch):
    forward = make_forward(build.make_model(config).forward, oracles.FLOAT32)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(forward.apply, static_argnums=4)
        found, _ = apply(rules.unflatten(arrays), {}, None, batch, False)
    return jax.device_get(found)


def test_the_released_model_has_as_many_parameters():
    theirs = oracles.released_shapes("video")
    ours = rules.to_ours(theirs, MODEL.deepmind)
    assert sum(x.size for x in ours.values()) == 19_858_855


def test_weights_go_to_hugging_face_and_come_back(tmp_path):
    config = convert_pretrained.released_config(MODEL)
    config.update_from_flattened_dict(small_fields())
    config.model.audio_bands, config.model.video_bands = 192, 32  # as in their code
    rng = np.random.default_rng(0)
    arrays = {
        path: rng.normal(size=shape).astype(np.float32)
        for path, shape in convert_pretrained.expected_shapes(config)["params"].items()
    }
    identity = Identity(class_names={"label": [f"class {n}" for n in range(7)]})
    about = description.describe(config.task, identity, json.loads(config.to_json()))
    checkpoints = checkpoint.Checkpoints(tmp_path / "here")
    variables = {"params": rules.unflatten(arrays), "model_state": {}}
    checkpoints.save(0, variables, None, about)
    checkpoints.close()
    convert_pretrained.to_huggingface(tmp_path / "here", tmp_path / "there")
    theirs = json.loads((tmp_path / "there" / "config.json").read_text())
    assert theirs["output_shape"] == [1, 2, 16, 16] and theirs["image_size"] == 4
    assert theirs["audio_samples_per_frame"] == 32 and theirs["num_frames"] == 2
    assert theirs["id2label"]["6"] == "class 6"
    back = convert_pretrained.config_of(tmp_path / "there", None)
    convert_pretrained.to_checkpoint(tmp_path / "there", back, tmp_path / "back")
    variables, about, _ = checkpoint.load_variables(tmp_path / "back")
    flat = rules.flatten(variables["params"])
    oracles.assert_same({k: np.asarray(x) for k, x in flat.items()}, arrays)
    assert back.model.image_size == (16, 16) and back.data.num_classes == 7
    assert about["class_names"]["label"][3] == "class 3"


def test_what_their_code_has_not_is_named(tmp_path):
    config = convert_pretrained.released_config(MODEL)
    config.model.video_max_resolution = (56, 48)
    with pytest.raises(ValueError, match="can't have video_max_resolution=.56, 48."):
        huggingface_config.to_config(MODEL, config.model.to_dict(), 704, 700)
