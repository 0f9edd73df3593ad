"""Clips beside what was decoded of them."""

import numpy as np
import pytest
from small_av import make_batch, make_config

from experiments.video_autoencoding.model import input_modalities, output_modalities
from experiments.video_autoencoding.pictures import make_show, to_clip

NAMES = [f"class {n}" for n in range(9)]


@pytest.fixture
def batch():
    return make_batch(make_config(), 4)


def perfect(batch):
    """The elements that decode to a batch, but for a bit of noise in pixels."""
    pixels = batch["video"].reshape(4, -1, 3) / 255 + 1e-4
    patches = batch["audio"].reshape(4, -1, 16)
    return {"video": pixels, "audio": patches, "label": 5 * batch["label"][:, None]}


def test_elements_make_a_clip_again(batch):
    config = make_config()
    modalities = output_modalities(input_modalities(config.model, 9))
    outputs = {name: x[1] for name, x in perfect(batch).items()}
    clip = to_clip(modalities, outputs, "a title")
    np.testing.assert_array_equal(clip.video, batch["video"][1])
    np.testing.assert_allclose(clip.audio, batch["audio"][1], atol=1e-6)
    assert clip.title == "a title"


def test_three_clips_are_shown_with_what_is_said_of_them(batch):
    show = make_show(make_config(), NAMES)
    outputs = perfect(batch)
    outputs["label"] = np.roll(outputs["label"], 1, axis=-1)  # all of them wrong
    clips = show.clips(outputs, batch)
    right = batch["label"].argmax(1)[:3]
    assert [clip.title for clip in clips] == [
        title
        for label in right
        for title in (f"clip: class {label}", f"decoded: class {(label + 1) % 9}")
    ]
    (picture,) = show.pictures(outputs, batch).values()
    assert picture.shape[0] == round(100 * (6 * 1.55 + 0.4))
    sounds = show.sounds(outputs, batch)
    assert [sound.rate for sound in sounds.values()] == [32 * 25] * 6
    np.testing.assert_allclose(
        sounds["2_decoded"].samples, batch["audio"][2, :, 0], atol=1e-6
    )


def test_nothing_is_shown_of_no_clips(batch):
    none = {name: x[:0] for name, x in batch.items()}
    show = make_show(make_config(), NAMES)
    outputs = {name: x[:0] for name, x in perfect(batch).items()}
    assert show.pictures(outputs, none) == {} and show.sounds(outputs, none) == {}
