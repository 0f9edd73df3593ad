"""The released model of video, which has no task here yet: its names in both worlds."""

import oracles

from perceiver_jax.pretrained import deepmind, huggingface, rules
from perceiver_jax.pretrained.rules import Rule

MODALITIES = ("audio", "image", "label")
QUERIES = "classification_decoder/~/basic_decoder/~/trainable_position_encoding"
OUTPUTS = "perceiver.output_postprocessor.modalities"

DEEPMIND = [
    *(
        Rule(
            f"multimodal_inputs/{modality}_{kind}",
            f"multimodal_preprocessor/{modality}_{kind}/pos_embs",
        )
        for modality in MODALITIES
        for kind in ("padding", "mask_token")
    ),
    *deepmind.encoder("encoder/~"),
    Rule("label_queries/queries", f"{QUERIES}/pos_embs"),
    *(
        Rule(
            f"multimodal_queries/{modality}_padding",
            f"multimodal_decoder/~decoder_query/{modality}_padding/pos_embs",
        )
        for modality in MODALITIES
    ),
    *deepmind.decoder("multimodal_decoder/~/basic_decoder"),
    *deepmind.linear("audio_outputs/linear", "audio_postprocessor/linear"),
    *deepmind.linear("image_outputs/linear", "projection_postprocessor/linear"),
    *deepmind.linear("label_outputs/linear", "classification_postprocessor/linear"),
]

HUGGINGFACE = [
    *(
        Rule(
            f"multimodal_inputs/{modality}_{ours}",
            f"{huggingface.INPUTS}.{theirs}.{modality}",
        )
        for modality in MODALITIES
        for ours, theirs in (("padding", "padding"), ("mask_token", "mask"))
    ),
    *huggingface.encoder(),
    Rule(
        "label_queries/queries",
        f"perceiver.decoder.modalities.label.decoder.{huggingface.QUERIES}",
    ),
    *(
        Rule(
            f"multimodal_queries/{modality}_padding",
            f"perceiver.decoder.padding.{modality}",
        )
        for modality in MODALITIES
    ),
    *huggingface.decoder("perceiver.decoder.decoder"),
    *(
        rule
        for modality in MODALITIES
        for rule in huggingface.linear(
            f"{modality}_outputs/linear", f"{OUTPUTS}.{modality}.classifier"
        )
    ),
]


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
