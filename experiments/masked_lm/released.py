"""The model of bytes that DeepMind released, and Hugging Face's of the same."""

import numpy as np

from perceiver_jax.pretrained import deepmind, huggingface
from perceiver_jax.pretrained.released import (
    Batch,
    Comparison,
    Field,
    HuggingFace,
    Released,
)
from perceiver_jax.pretrained.rules import Rule

DEEPMIND: list[Rule] = [
    Rule("text_embedding/embeddings", "embed/embeddings"),
    Rule("text_embedding/positions", "trainable_position_encoding/pos_embs"),
    Rule("text_embedding/output_bias", "embedding_decoder/bias"),
    *deepmind.encoder("perceiver_encoder/~"),
    Rule(
        "learned_queries/queries",
        "basic_decoder/~/trainable_position_encoding/pos_embs",
    ),
    *deepmind.cross_attend("decoder/cross_attention", "basic_decoder/cross_attention"),
]

HUGGINGFACE: list[Rule] = [
    Rule("text_embedding/embeddings", f"{huggingface.INPUTS}.embeddings.weight"),
    Rule(
        "text_embedding/positions", f"{huggingface.INPUTS}.position_embeddings.weight"
    ),
    Rule("text_embedding/output_bias", "embedding_decoder.bias"),
    *huggingface.encoder(),
    Rule("learned_queries/queries", f"perceiver.decoder.{huggingface.QUERIES}"),
    *huggingface.cross_attend(
        "decoder/cross_attention", "perceiver.decoder.decoding_cross_attention"
    ),
]


def _arguments(batch: Batch) -> dict[str, np.ndarray]:
    return {"inputs": batch["tokens"], "attention_mask": batch["token_mask"]}


MODELS = (
    Released(
        name="byte_mlm",
        config="configs/masked_lm.py:bytes",
        file="language_perceiver_io_bytes.pickle",
        deepmind=DEEPMIND,
        huggingface=HuggingFace(
            "PerceiverForMaskedLM",
            HUGGINGFACE,
            fixed={"num_decoder_heads": 8, "decoder_qk_channels": 256},
            numbers={"decoder_query_residual": False, "mask_queries": False},
            sizes=(
                Field("model.vocab_size", "vocab_size"),
                Field("model.max_length", "max_position_embeddings"),
                Field("data.length", "max_position_embeddings"),
                Field("model.input_channels", "d_model"),
                Field("model.decoder_v_channels", "d_model"),
            ),
        ),
        comparison=Comparison(
            settings={
                "d_model": 24,
                "max_position_embeddings": 20,
                "num_cross_attention_heads": 4,
                "qk_channels": 16,
                "v_channels": 32,
                "num_blocks": 1,
            },
            arguments=_arguments,
            training=(
                "--config=configs/masked_lm.py:docs",
                "--config.data.length=64",
                "--config.model.max_length=64",
                "--config.model.num_cross_heads=8",
                "--config.steps=300",
            ),
        ),
        mark={"kind": "perceiver"},  # not BERT
        vocabulary="bytes",
    ),
)
