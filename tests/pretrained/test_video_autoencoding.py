"""The released model of video, sound and labels, made of our parts at a small size.

It has no task here yet: its names in both worlds, and its outputs.
"""

import dataclasses
import json

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import oracles

from configs import base
from experiments.model_parts import make_decoder, make_perceiver
from perceiver_jax.model import attention
from perceiver_jax.model.adapters.modalities import (
    Modality,
    ModalityInputs,
    ModalityQueries,
)
from perceiver_jax.pretrained import deepmind, huggingface, rules
from perceiver_jax.pretrained.rules import Rule

SMALL = json.loads((oracles.DATA / "video_autoencoding.json").read_text())
# Our modalities: their names, and those of their output layers in DeepMind's file.
NAMES = {
    "audio": ("audio", "audio_postprocessor"),
    "video": ("image", "projection_postprocessor"),
    "label": ("label", "classification_postprocessor"),
}
LABEL_QUERY = "modality_queries/label_query"
THEIR_QUERY = "classification_decoder/~/basic_decoder/~/trainable_position_encoding"

DEEPMIND = [
    *deepmind.encoder("encoder/~"),
    *deepmind.decoder("multimodal_decoder/~/basic_decoder"),
    Rule(LABEL_QUERY, f"{THEIR_QUERY}/pos_embs"),
]
HUGGINGFACE = [
    *huggingface.encoder(),
    *huggingface.decoder("perceiver.decoder.decoder"),
    Rule(
        LABEL_QUERY, f"perceiver.decoder.modalities.label.decoder.{huggingface.QUERIES}"
    ),
]
for ours, (theirs, output) in NAMES.items():
    inputs, queries = "multimodal_preprocessor", "multimodal_decoder/~decoder_query"
    for path, their_path in (
        (f"modality_inputs/{ours}_embedding", f"{inputs}/{theirs}_padding"),
        (f"modality_inputs/{ours}_hidden", f"{inputs}/{theirs}_mask_token"),
        (f"modality_queries/{ours}_embedding", f"{queries}/{theirs}_padding"),
    ):
        DEEPMIND.append(Rule(path, f"{their_path}/pos_embs"))
    for path, their_path in (
        (f"modality_inputs/{ours}_embedding", f"{huggingface.INPUTS}.padding.{theirs}"),
        (f"modality_inputs/{ours}_hidden", f"{huggingface.INPUTS}.mask.{theirs}"),
        (f"modality_queries/{ours}_embedding", f"perceiver.decoder.padding.{theirs}"),
    ):
        HUGGINGFACE.append(Rule(path, their_path))
    last = f"perceiver.output_postprocessor.modalities.{theirs}.classifier"
    DEEPMIND += deepmind.linear(f"{ours}_output", f"{output}/linear")
    HUGGINGFACE += huggingface.linear(f"{ours}_output", last)


def modalities():
    """What is read; of a video every pixel is asked for."""
    frames, side, patch = SMALL["frames"], SMALL["image_size"], SMALL["patch"]
    samples = frames * SMALL["audio_samples_per_frame"]
    grid = (frames, side // patch[1], side // patch[2])
    sizes = (SMALL["samples_per_patch"],), SMALL["audio_bands"], (samples,)
    return (
        Modality("audio", (samples,), 1, *sizes),
        Modality(
            "video", (frames, side, side), 3, tuple(patch), SMALL["video_bands"], grid
        ),
        Modality("label", (), SMALL["num_classes"]),
    )


def model(arrays, hidden, points):
    """The elements that points [n] name, by modality."""
    encoder = SMALL["encoder"]
    sizes = base.get_model()
    sizes.update(
        num_latents=encoder["z_index_dim"],
        latent_channels=encoder["num_z_channels"],
        layers_per_block=encoder["num_self_attends_per_block"],
        num_self_heads=encoder["num_self_attend_heads"],
        decoder_query_residual=False,
    )
    inputs = ModalityInputs(modalities(), hides=True)(arrays, hidden)
    decoder = make_decoder(sizes, SMALL["decoder_output_channels"])
    latents = make_perceiver(sizes, decoder).encode(inputs.array)
    asked = [
        dataclasses.replace(m, patch=(1, 1, 1)) if m.name == "video" else m
        for m in modalities()
    ]
    queries = ModalityQueries(asked, SMALL["label_query_channels"])
    found = {}
    for modality in asked:
        project = attention.Projection(
            modality.element_channels, name=f"{modality.name}_output"
        )
        of_it = queries(modality, jnp.asarray(points[modality.name])[None])
        found[modality.name] = decoder(latents, of_it, finish=project)
    return found


def test_outputs_are_those_of_the_released_code():
    path = oracles.DATA / "video_autoencoding.npz"
    theirs = oracles.read_flat(path)
    ours = rules.to_ours(theirs, DEEPMIND)
    with np.load(path) as oracle:
        arrays = {
            "audio": oracle["input/audio"],
            "video": oracle["input/images"],
            "label": np.zeros((2, SMALL["num_classes"]), np.float32),
        }
        points = {
            "audio": oracle["input/sub_audio"],
            "video": oracle["input/sub_image"],
            "label": [0],
        }
        expected = {name: oracle[f"output/{NAMES[name][0]}"] for name in NAMES}
    apply = jax.jit(hk.without_apply_rng(hk.transform(model)).apply)
    with jax.default_matmul_precision("highest"):
        found = apply(
            rules.unflatten(ours), arrays, {"label": np.ones(2, bool)}, points
        )
    for name, output in expected.items():
        of_it = np.asarray(found[name]).reshape(output.shape)
        assert oracles.relative_error(of_it, output) <= 1e-4, name
    oracles.assert_same(rules.to_theirs(ours, DEEPMIND), theirs)


def test_names_and_shapes_go_there_and_back():
    theirs = oracles.released_shapes("video")
    ours = rules.to_ours(theirs, DEEPMIND)
    assert sum(x.size for x in ours.values()) == 19_858_855
    assert ours["processor/block/layers/self_attention/mlp/hidden/w"].shape[0] == 8
    back = rules.to_theirs(ours, DEEPMIND)
    assert {k: x.shape for k, x in back.items()} == {
        k: x.shape for k, x in theirs.items()
    }
    there = huggingface.to_arrays(ours, HUGGINGFACE)
    assert there["perceiver.decoder.decoder.final_layer.weight"].shape == (512, 1026)


def test_names_are_the_same_in_both_worlds():
    oracles.check_names("video", DEEPMIND, HUGGINGFACE)


def test_tables_name_each_array_once():
    for table in (DEEPMIND, HUGGINGFACE):
        for side in zip(*[(rule.ours, rule.theirs) for rule in table]):
            assert len(set(side)) == len(side)
