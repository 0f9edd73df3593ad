"""The model of flow: its patches and its scale in both worlds."""

import numpy as np

from experiments.optical_flow import released as rows
from perceiver_jax.pretrained import rules

(MODEL,) = rows.MODELS
PATH = "flow_inputs/pixel_patches/linear/w"


def test_rows_of_patches_are_by_frame_there_and_by_pixel_here():
    """54 rows: 2 frames of 9 pixels of 3 channels."""
    there = np.arange(54).reshape(2, 9, 3)  # frame, pixel, channel
    theirs = {"image_preprocessor/patches_linear/w": there.reshape(54, 1)}
    ours = rules.to_ours(theirs, rows.DEEPMIND)[PATH].reshape(9, 2, 3)
    for frame, pixel, channel in np.ndindex(there.shape):
        assert ours[pixel, frame, channel] == there[frame, pixel, channel]
    back = rules.to_theirs({PATH: ours.reshape(54, 1)}, rows.HUGGINGFACE)
    (weight,) = back.values()
    np.testing.assert_array_equal(weight[0], there.reshape(54))


def test_their_code_takes_the_patch_of_every_pixel():
    frames = np.random.default_rng(0).normal(size=(1, 2, 4, 5, 3)).astype(np.float32)
    inputs = MODEL.comparison.arguments({"frames": frames})["inputs"]
    assert inputs.shape == (1, 2, 27, 4, 5)
    # Row by row: the pixel itself is the fifth of the nine.
    np.testing.assert_array_equal(inputs[0, 1, 12:15, 2, 3], frames[0, 1, 2, 3])
    np.testing.assert_array_equal(inputs[0, 1, 0:3, 2, 3], frames[0, 1, 1, 2])
    assert not inputs[0, 0, 0:3, 0, 0].any()  # beyond the image


def test_their_outputs_lack_the_factor_of_training():
    assert MODEL.comparison.outputs(np.float32(1.5)) == 30
