"""Where latents look in a clip: what is of which modality, and its picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import clip_attention
from perceiver_jax.model.adapters.modalities import Modality

MODALITIES = (
    Modality("audio", (12,), 1, (3,), 2, (4,)),
    Modality("video", (4, 4, 6), 3, (2, 2, 2), 2, (2, 2, 3)),
    Modality("label", (), 5),
)


def test_weights_are_split_and_heads_averaged():
    weights = np.random.default_rng(0).uniform(0, 1, (2, 3, 4 + 12 + 1))
    found = clip_attention.by_modality(MODALITIES, weights)
    shapes = {name: x.shape for name, x in found.items()}
    assert shapes == {"audio": (3, 4), "video": (3, 2, 2, 3), "label": (3,)}
    mean = weights.mean(0)
    np.testing.assert_allclose(found["audio"], mean[:, :4], atol=1e-3)
    expected = mean[:, 4:16].reshape(3, 2, 2, 3)
    np.testing.assert_allclose(found["video"], expected, atol=1e-3)
    np.testing.assert_allclose(found["label"], mean[:, 16], atol=1e-3)


def test_each_latent_has_a_row_with_its_shares():
    weights = np.zeros((1, 2, 17))
    weights[0, 0, :4] = 0.25  # the first one listens, the second looks
    weights[0, 1, 4:16] = 1 / 12
    maps = clip_attention.by_modality(MODALITIES, weights)
    video = np.random.default_rng(0).integers(0, 256, (4, 4, 6, 3), np.uint8)
    senses = {
        "video": clip_attention.Frames(video),
        "audio": clip_attention.Wave(np.zeros((12, 1))),
    }
    figure = clip_attention.draw(senses, maps)
    titles = {ax.get_title(loc="left") for ax in figure.axes}
    assert {
        "latent 0: frames 0%, sound 100%",
        "latent 1: frames 100%, sound 0%",
    } <= titles
    assert len(figure.axes) == 2 * 3
    plt.close(figure)


@pytest.mark.parametrize("name", ["video", "audio"])
def test_one_sense_is_a_column_of_its_own(name):
    senses = {
        "video": clip_attention.Frames(np.zeros((4, 4, 6, 3), np.uint8)),
        "audio": clip_attention.Wave(np.zeros((12, 1))),
    }
    weights = np.random.default_rng(0).uniform(0, 1, (1, 4, 17))
    maps = clip_attention.by_modality(MODALITIES, weights)
    figure = clip_attention.draw({name: senses[name]}, maps)
    assert len(figure.axes) == 1 + 4
    plt.close(figure)


def test_an_element_is_drawn_on_all_that_it_covers():
    figure, axes = plt.subplots(1, 3)
    frames = np.zeros((4, 4, 6, 3), np.uint8)
    weights = np.arange(12.0).reshape(2, 2, 3)
    clip_attention.Frames(frames).look(axes[0], weights, 11.0)
    (image,) = axes[0].images
    expected = weights.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(image.get_array(), np.concatenate([*expected], 1))
    assert image.get_clim() == (0, 11)
    # An element may be half of a window, or two windows.
    for count in (8, 2):
        spectrum = clip_attention.Spectrum(np.zeros((4, 6)))
        spectrum.look(axes[1], np.arange(float(count)), 7.0)
        found = np.asarray(axes[1].images[-1].get_array()).T
        np.testing.assert_array_equal(
            found.ravel(), np.arange(count).repeat(24 // count)
        )
    clip_attention.Wave(np.zeros((12, 1))).look(axes[2], np.arange(4.0), 5.0)
    assert axes[2].get_ylim() == (0, 5)
    plt.close(figure)
