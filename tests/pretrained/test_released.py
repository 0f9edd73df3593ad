"""A model of one's own, told by a row, goes there and back by the row alone."""

import numpy as np

from perceiver_jax.pretrained import huggingface, huggingface_config, rules
from perceiver_jax.pretrained.released import (
    Classes,
    Comparison,
    Field,
    HuggingFace,
    Released,
)

ROW = Released(
    name="sounds",
    config="configs/sounds.py:small",
    file="sounds.pickle",
    deepmind=[rules.Rule("sound_inputs/w", "sound_preprocessor/w")],
    huggingface=HuggingFace(
        "PerceiverForSounds",
        [rules.Rule("sound_inputs/w", "sounds.weight", rules.TRANSPOSED)],
        fixed={"stem": "samples"},
        numbers={"loudness": 1.0},
        sizes=(Field("model.num_samples", "samples_per_patch"),),
    ),
    comparison=Comparison({}, lambda batch: {"inputs": batch["sounds"]}),
    classes=Classes("sounds", "num_sounds", ()),
)
MODEL = {
    "num_latents": 4,
    "latent_channels": 8,
    "num_blocks": 1,
    "layers_per_block": 2,
    "num_cross_heads": 1,
    "num_self_heads": 2,
    "cross_widening": 1,
    "self_widening": 1,
    "qk_channels": 0,
    "v_channels": 0,
    "gelu": "exact",
    "stem": "samples",
    "loudness": 1.0,
    "num_samples": 16,
}


def test_a_config_goes_there_and_back():
    theirs, differs = huggingface_config.to_config(ROW, MODEL, 5, 3, ("a", "b", "c"))
    assert not differs and theirs["samples_per_patch"] == 16 and theirs["d_model"] == 5
    assert huggingface_config.identify(theirs, [ROW]) is ROW
    fields = huggingface_config.from_config(theirs, ROW)
    assert {k: fields[f"model.{k}"] for k in MODEL} == MODEL
    assert fields["data.num_sounds"] == 3


def test_other_numbers_are_exported_and_told():
    _, differs = huggingface_config.to_config(ROW, MODEL | {"loudness": 2.0}, 5, 3)
    assert differs == ["loudness"]


def test_arrays_go_from_one_world_to_the_other():
    w = np.arange(6.0).reshape(2, 3)
    ours = rules.to_ours({"sound_preprocessor/w": w}, ROW.deepmind)
    theirs = huggingface.to_arrays(ours, ROW.huggingface.rules)
    np.testing.assert_array_equal(theirs["sounds.weight"], w.T)
