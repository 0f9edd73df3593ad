"""Weights of both kinds read by one function, with what is known of them."""

import hashlib

import numpy as np
import oracles
import pytest

from perceiver_jax.pretrained import reading
from scripts.convert_pretrained import MODELS

FOLDER = oracles.DATA / "huggingface" / "mlm"
FILE = oracles.DATA / "mlm.npz"


def test_a_folder_says_what_it_is_and_a_file_must_be_told():
    model, theirs = reading.identify(FOLDER, MODELS)
    assert model.name == "byte_mlm" and theirs["num_latents"] == 8
    assert reading.identify(FILE, MODELS, "byte_mlm") == (model, None)
    with pytest.raises(ValueError, match="mlm.npz does not say.*--model=NAME"):
        reading.identify(FILE, MODELS)


@pytest.mark.parametrize(
    ("source", "kind", "licence"),
    [(FOLDER, "Hugging Face", "model card"), (FILE, "DeepMind", "CC-BY-4.0")],
)
def test_arrays_have_our_names_and_a_source(source, kind, licence):
    arrays, about = reading.read(source, MODELS["byte_mlm"])
    assert arrays["encoder/latents"].shape == (8, 32)
    assert arrays["encoder/latents"].dtype == np.float32
    assert about["format"] == kind and licence in about["licence"]
    path = source / "model.safetensors" if source.is_dir() else source
    assert about["file"] == str(path.absolute())
    assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_only_cure_for_a_wrong_file_is_another_model():
    with pytest.raises(ValueError, match=r"not of optical_flow. Choose another --mod"):
        reading.read(FILE, MODELS["optical_flow"])
    with pytest.raises(ValueError, match=r"not of optical_flow. \d+ arrays"):
        reading.read(FOLDER, MODELS["optical_flow"])
