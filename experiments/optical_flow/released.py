"""The model of optical flow that DeepMind released, and Hugging Face's of the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from einops import rearrange

from perceiver_jax.model.adapters import flow
from perceiver_jax.pretrained import deepmind, huggingface
from perceiver_jax.pretrained.released import (
    Batch,
    Comparison,
    Field,
    HuggingFace,
    Released,
)
from perceiver_jax.pretrained.rules import Form, Rule

# Rows of a linear map of the patches of two frames: by frame there, by pixel here.
_PATCHES = Form(
    lambda x: rearrange(x, "(t k c) f -> (k t c) f", t=2, c=3),
    lambda x: rearrange(x, "(k t c) f -> (t k c) f", t=2, c=3),
)
_PATCHES_TRANSPOSED = Form(
    lambda x: _PATCHES.to_ours(x.T), lambda x: _PATCHES.to_theirs(x).T
)
_LINEAR = "flow_inputs/pixel_patches/linear"

DEEPMIND: list[Rule] = [
    Rule(f"{_LINEAR}/w", "image_preprocessor/patches_linear/w", _PATCHES),
    Rule(f"{_LINEAR}/b", "image_preprocessor/patches_linear/b"),
    *deepmind.encoder("perceiver_encoder/~"),
    *deepmind.decoder("flow_decoder/~/basic_decoder"),
]

_THEIR_LINEAR = f"{huggingface.INPUTS}.conv_after_patches"

HUGGINGFACE: list[Rule] = [
    Rule(f"{_LINEAR}/w", f"{_THEIR_LINEAR}.weight", _PATCHES_TRANSPOSED),
    Rule(f"{_LINEAR}/b", f"{_THEIR_LINEAR}.bias"),
    *huggingface.encoder(),
    *huggingface.decoder("perceiver.decoder.decoder"),
]


def _arguments(batch: Batch) -> dict[str, np.ndarray]:
    """Frames as [B, 2, 27, H, W]: their code takes the 3x3 patch of every pixel."""
    patches = np.asarray(flow.neighbours(jnp.asarray(batch["frames"])))
    return {"inputs": np.moveaxis(patches, -1, 2)}


def _in_pixels(flow_there: np.ndarray) -> np.ndarray:
    """Of the two legacy factors theirs has the division by 100 alone."""
    return 100 * flow.PIXELS_PER_OUTPUT * flow_there


def _list(size: Sequence[int], model: Mapping[str, Any]) -> list[int]:
    del model
    return list(size)


MODELS = (
    Released(
        name="optical_flow",
        config="configs/optical_flow.py:autoflow",
        file="optical_flow_checkpoint.pystate",
        deepmind=DEEPMIND,
        huggingface=HuggingFace(
            "PerceiverForOpticalFlow",
            HUGGINGFACE,
            fixed={
                "stem": "patches",
                "stem_channels": 64,
                "patch_size": 3,
                "concat_frames": True,
                "num_bands": 64,
            },
            numbers={"decoder_query_residual": False},
            sizes=(
                Field("model.image_size", "train_size", tuple, _list),
                Field("model.max_resolution", "train_size", tuple, _list),
            ),
        ),
        comparison=Comparison(
            settings={"d_model": 322, "train_size": [10, 14], "num_blocks": 1},
            arguments=_arguments,
            outputs=_in_pixels,
        ),
    ),
)
