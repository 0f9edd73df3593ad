"""The autoencoder that DeepMind released, and Hugging Face's of the same."""

import numpy as np

from perceiver_jax.pretrained import deepmind, huggingface
from perceiver_jax.pretrained.released import (
    Batch,
    Classes,
    Comparison,
    Field,
    HuggingFace,
    Released,
)
from perceiver_jax.pretrained.rules import Form, Rule

# A row alone there, a vector here or the other way round: ours have one row.
_ROW = Form(lambda x: x.reshape(1, -1), lambda x: x.reshape(1, -1))
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
    DEEPMIND += [
        Rule(
            f"modality_inputs/{_ours}_embedding",
            f"{_INPUTS}/{_theirs}_padding/pos_embs",
        ),
        Rule(
            f"modality_inputs/{_ours}_hidden",
            f"{_INPUTS}/{_theirs}_mask_token/pos_embs",
        ),
        Rule(
            f"modality_queries/{_ours}_embedding",
            f"{_QUERIES}/{_theirs}_padding/pos_embs",
        ),
        *deepmind.linear(f"{_ours}_output", f"{_output}/linear"),
    ]
    HUGGINGFACE += [
        Rule(
            f"modality_inputs/{_ours}_embedding",
            f"{huggingface.INPUTS}.padding.{_theirs}",
        ),
        Rule(f"modality_inputs/{_ours}_hidden", f"{huggingface.INPUTS}.mask.{_theirs}"),
        Rule(
            f"modality_queries/{_ours}_embedding",
            f"perceiver.decoder.padding.{_theirs}",
        ),
        *huggingface.linear(
            f"{_ours}_output",
            f"perceiver.output_postprocessor.modalities.{_theirs}.classifier",
        ),
    ]

MODELS = (
    Released(
        name="video_autoencoding",
        config="configs/video_autoencoding.py:kinetics",
        file="video_autoencoding_checkpoint.pystate",
        deepmind=DEEPMIND,
        huggingface=HuggingFace(
            "PerceiverForMultimodalAutoencoding",
            HUGGINGFACE,
            fixed={"audio_bands": 192, "video_bands": 32, "video_patch": (1, 4, 4)},
            numbers={"decoder_query_residual": False},
        ),
        comparison=Comparison(settings={}, arguments=dict),
    ),
)
