"""The weights that DeepMind released with Perceiver IO: which array is which.

    ours = rules.to_ours(rules.flatten(released_params), deepmind.IMAGENET)

A table serves parameters and state. Modules of a kind are numbered there in the order
in which they are called.
"""

from collections.abc import Sequence

from perceiver_jax.pretrained.rules import FRAME_PATCHES, KERNEL_HWIO, Rule

_LINEAR = ("w", "b")
_NORM = ("scale", "offset")
_AVERAGE = ("average", "hidden", "counter")
_CROSS = ("query_norm", "input_norm", "mlp_norm")  # the norms of a cross-attend
_SELF = ("attention_norm", "mlp_norm")
_PATCHES = "flow_inputs/pixel_patches/linear"


def _each(ours: str, theirs: str, names: Sequence[str]) -> list[Rule]:
    return [Rule(f"{ours}/{n}", f"{theirs}/{n}") for n in names]


def _layer(ours: str, theirs: str, norms: Sequence[str]) -> list[Rule]:
    parts = [
        ("attention/query", "attention/linear", _LINEAR),
        ("attention/key", "attention/linear_1", _LINEAR),
        ("attention/value", "attention/linear_2", _LINEAR),
        ("attention/output", "attention/linear_3", _LINEAR),
        ("mlp/hidden", "mlp/linear", _LINEAR),
        ("mlp/output", "mlp/linear_1", _LINEAR),
    ]
    for number, norm in enumerate(norms):
        parts.append((norm, f"layer_norm_{number}" if number else "layer_norm", _NORM))
    return [
        rule
        for our_part, their_part, names in parts
        for rule in _each(f"{ours}/{our_part}", f"{theirs}/{their_part}", names)
    ]


def _encoder(theirs: str) -> list[Rule]:
    """The encoder and the processor, which are one module there."""
    return [
        Rule("encoder/latents", f"{theirs}/trainable_position_encoding/pos_embs"),
        *_layer("encoder/cross_attention", f"{theirs}/cross_attention", _CROSS),
        *_layer(
            "processor/block/layers/self_attention",
            theirs + "/self_attention{_layer}",
            _SELF,
        ),
    ]


def _decoder(theirs: str) -> list[Rule]:
    return [
        *_layer("decoder/cross_attention", f"{theirs}/cross_attention", _CROSS),
        *_each("decoder/output", f"{theirs}/output", _LINEAR),
    ]


def _batch_norm(ours: str, theirs: str) -> list[Rule]:
    return [
        *_each(ours, theirs, _NORM),
        *_each(f"{ours}/~/mean_ema", f"{theirs}/~/mean_ema", _AVERAGE),
        *_each(f"{ours}/~/var_ema", f"{theirs}/~/var_ema", _AVERAGE),
    ]


_PIXELS = "image_preprocessor/~"
_PIXEL_POSITIONS = "image_preprocessor/~_build_network_inputs"
_CLASSIFIER = "classification_decoder/~/basic_decoder"

# The three ImageNet models; each has some of the inputs' arrays.
IMAGENET: list[Rule] = [
    Rule("image_inputs/pointwise/linear/w", f"{_PIXELS}/conv2_d/w", KERNEL_HWIO),
    Rule("image_inputs/pointwise/linear/b", f"{_PIXELS}/conv2_d/b"),
    Rule(
        "image_inputs/learned_position/table",
        f"{_PIXEL_POSITIONS}/trainable_position_encoding/pos_embs",
    ),
    *_each(
        "image_inputs/learned_position/projection",
        f"{_PIXEL_POSITIONS}/position_encoding_projector/linear",
        _LINEAR,
    ),
    Rule("image_inputs/conv_stem/conv/w", f"{_PIXELS}/conv2_d_downsample/~/conv/w"),
    *_batch_norm(
        "image_inputs/conv_stem/batch_norm",
        f"{_PIXELS}/conv2_d_downsample/~/batchnorm",
    ),
    *_encoder("perceiver_encoder/~"),
    Rule(
        "learned_queries/queries",
        f"{_CLASSIFIER}/~/trainable_position_encoding/pos_embs",
    ),
    *_decoder(_CLASSIFIER),
]

MASKED_LM: list[Rule] = [
    Rule("text_embedding/embeddings", "embed/embeddings"),
    Rule("text_embedding/positions", "trainable_position_encoding/pos_embs"),
    Rule("text_embedding/output_bias", "embedding_decoder/bias"),
    *_encoder("perceiver_encoder/~"),
    Rule(
        "learned_queries/queries",
        "basic_decoder/~/trainable_position_encoding/pos_embs",
    ),
    *_layer("decoder/cross_attention", "basic_decoder/cross_attention", _CROSS),
]

OPTICAL_FLOW: list[Rule] = [
    Rule(f"{_PATCHES}/w", "image_preprocessor/patches_linear/w", FRAME_PATCHES),
    Rule(f"{_PATCHES}/b", "image_preprocessor/patches_linear/b"),
    *_encoder("perceiver_encoder/~"),
    *_decoder("flow_decoder/~/basic_decoder"),
]

_MODALITIES = ("audio", "image", "label")

VIDEO_AUTOENCODING: list[Rule] = [
    *(
        Rule(
            f"multimodal_inputs/{modality}_{kind}",
            f"multimodal_preprocessor/{modality}_{kind}/pos_embs",
        )
        for modality in _MODALITIES
        for kind in ("padding", "mask_token")
    ),
    *_encoder("encoder/~"),
    Rule(
        "label_queries/queries",
        f"{_CLASSIFIER}/~/trainable_position_encoding/pos_embs",
    ),
    *(
        Rule(
            f"multimodal_queries/{modality}_padding",
            f"multimodal_decoder/~decoder_query/{modality}_padding/pos_embs",
        )
        for modality in _MODALITIES
    ),
    *_decoder("multimodal_decoder/~/basic_decoder"),
    *_each("audio_outputs/linear", "audio_postprocessor/linear", _LINEAR),
    *_each("image_outputs/linear", "projection_postprocessor/linear", _LINEAR),
    *_each("label_outputs/linear", "classification_postprocessor/linear", _LINEAR),
]
