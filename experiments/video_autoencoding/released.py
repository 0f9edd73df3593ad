"""The autoencoder that DeepMind released, and Hugging Face's of the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.video_autoencoding.model import LABEL
from perceiver_jax.pretrained import deepmind, huggingface
from perceiver_jax.pretrained.released import (
    Batch,
    Classes,
    Comparison,
    Field,
    HuggingFace,
    Released,
)
from perceiver_jax.pretrained.rules import Rule

_QUERIES = "multimodal_decoder/~decoder_query"
_INPUTS = "multimodal_preprocessor"
# Our name of a modality: theirs, and that of its output layer in DeepMind's file.
_NAMES = {
    "audio": ("audio", "audio_postprocessor"),
    "video": ("image", "projection_postprocessor"),
    "label": ("label", "classification_postprocessor"),
}
_LABEL_QUERY = "modality_queries/label_query"

DEEPMIND: list[Rule] = [
    *deepmind.encoder("encoder/~"),
    *deepmind.decoder("multimodal_decoder/~/basic_decoder"),
    Rule(
        _LABEL_QUERY,
        "classification_decoder/~/basic_decoder/~/trainable_position_encoding/pos_embs",
    ),
]
HUGGINGFACE: list[Rule] = [
    *huggingface.encoder(),
    *huggingface.decoder("perceiver.decoder.decoder"),
    Rule(
        _LABEL_QUERY,
        f"perceiver.decoder.modalities.label.decoder.{huggingface.QUERIES}",
    ),
]
for _ours, (_theirs, _output) in _NAMES.items():
    _embedding, _hidden, _query = (
        f"modality_inputs/{_ours}_embedding",
        f"modality_inputs/{_ours}_hidden",
        f"modality_queries/{_ours}_embedding",
    )
    DEEPMIND += [
        Rule(_embedding, f"{_INPUTS}/{_theirs}_padding/pos_embs"),
        Rule(_hidden, f"{_INPUTS}/{_theirs}_mask_token/pos_embs"),
        Rule(_query, f"{_QUERIES}/{_theirs}_padding/pos_embs"),
        *deepmind.linear(f"{_ours}_output", f"{_output}/linear"),
    ]
    HUGGINGFACE += [
        Rule(_embedding, f"{huggingface.INPUTS}.padding.{_theirs}"),
        Rule(_hidden, f"{huggingface.INPUTS}.mask.{_theirs}"),
        Rule(_query, f"perceiver.decoder.padding.{_theirs}"),
        *huggingface.linear(
            f"{_ours}_output",
            f"perceiver.output_postprocessor.modalities.{_theirs}.classifier",
        ),
    ]


def _clip_shape(size: Sequence[int], model: Mapping[str, Any]) -> list[int]:
    return [1, model["num_frames"], *size]


def _frame_size(clip_shape: Sequence[int]) -> tuple[int, int]:
    _, _, height, width = clip_shape
    return height, width


def _square(side: int) -> tuple[int, int]:
    return side, side


def _side(size: Sequence[int], model: Mapping[str, Any]) -> int:
    del model
    return size[0]


def _prepare(batch: Batch) -> Batch:
    """Everything is decoded, and the label hidden: their code always hides it."""
    clip = {name: batch[name] for name in ("audio", "video", "label", "mask")}
    return {**clip, "label_hidden": np.ones(len(batch["label"]), bool)}


def _arguments(batch: Batch) -> dict[str, Any]:
    """All points are named: where none are, theirs puts them a little apart."""
    frames = np.moveaxis(batch["video"], -1, 2)
    patches = batch["audio"].shape[1] // _SMALL_PATCH
    return {
        "inputs": {
            "image": frames,
            "audio": batch["audio"],
            "label": batch["label"],
        },
        "subsampled_output_points": {
            "image": np.arange(frames[0, :, 0].size),
            "audio": np.arange(patches),
        },
    }


def _outputs(theirs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Elements by modality, as ours."""
    label = theirs["label"]
    audio = theirs["audio"].reshape(len(label), -1, _SMALL_PATCH)
    return {"audio": audio, "video": theirs["image"], "label": label[:, None]}


_SMALL_PATCH = 8
_SMALL = {
    "d_model": 0,  # not used by the class
    "num_blocks": 1,
    "num_frames": 2,
    "audio_samples_per_frame": 32,
    "samples_per_patch": _SMALL_PATCH,
    "image_size": 3,
    "output_shape": [1, 2, 12, 12],
    "output_num_channels": 24,
}

MODELS = (
    Released(
        name="video_autoencoding",
        config="configs/video_autoencoding.py:kinetics",
        file="video_autoencoding_checkpoint.pystate",
        deepmind=DEEPMIND,
        huggingface=HuggingFace(
            "PerceiverForMultimodalAutoencoding",
            HUGGINGFACE,
            fixed={
                "audio_bands": 192,
                "video_bands": 32,
                "video_patch": (1, 4, 4),
                "code_channels": 0,
            },
            numbers={"decoder_query_residual": False},
            sizes=(
                Field("model.num_frames", "num_frames"),
                Field("model.samples_per_frame", "audio_samples_per_frame"),
                Field("model.audio_patch", "samples_per_patch"),
                Field("model.image_size", "output_shape", _frame_size, _clip_shape),
                Field("model.video_max_resolution", "image_size", _square, _side),
                Field("model.decoder_channels", "output_num_channels"),
                Field(
                    "model.label_query_channels",
                    "_label_trainable_num_channels",
                ),
            ),
        ),
        comparison=Comparison(
            settings=_SMALL, arguments=_arguments, prepare=_prepare, outputs=_outputs
        ),
        classes=Classes(LABEL, "num_classes", ()),
    ),
)
