"""Several modalities in one array: elements, widths, embeddings, masks, queries."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.model import perceiver, position
from perceiver_jax.model.adapters.modalities import (
    Modality,
    ModalityInputs,
    ModalityQueries,
    slices,
)

VIDEO = Modality("video", (2, 8, 4), 3, (1, 4, 2), 3, (2, 2, 2))
SOUND = Modality("sound", (12,), 1, (4,), 2, (3,))
LABEL = Modality("label", (), 5)
ALL = (VIDEO, SOUND, LABEL)
WIDTH = 24 + 3 * 7 + 4  # the video's patches and positions, and 4 more


def examples(batch=2):
    rng = np.random.default_rng(0)
    return {
        m.name: rng.normal(size=(batch, *m.shape, m.channels)).astype(np.float32)
        for m in ALL
    }


def read(arrays, hides=False, **flags):
    """Inputs, and the parameters that made them."""
    model = hk.transform(lambda x, f: ModalityInputs(ALL, hides=hides)(x, **f))
    params = model.init(jax.random.key(0), arrays, flags)
    return model.apply(params, None, arrays, flags), params["modality_inputs"]


def test_elements_are_patches_in_order():
    x = examples()["video"]
    elements = VIDEO.cut(x)
    assert elements.shape == (2, VIDEO.num_elements, VIDEO.element_channels)
    # Frame 1, second row of patches, first of its two.
    np.testing.assert_array_equal(elements[0, 6], x[0, 1, 4:8, 0:2].reshape(-1))
    np.testing.assert_array_equal(VIDEO.join(elements), x)
    label = examples()["label"]
    np.testing.assert_array_equal(LABEL.join(LABEL.cut(label)), label)


def test_inputs_are_features_positions_and_an_embedding():
    arrays = examples()
    inputs, params = read(arrays)
    assert inputs.array.shape == (2, 8 + 3 + 1, WIDTH) and inputs.mask is None
    sound = inputs.array[:, slices(ALL)["sound"]]
    np.testing.assert_array_equal(sound[..., :4], SOUND.cut(arrays["sound"]))
    table = position.fourier_features(position.coordinates([3]), 2, [3])
    np.testing.assert_allclose(sound[1, :, 4:9], table, atol=1e-6)
    np.testing.assert_array_equal(sound[1, 2, 9:], params["sound_embedding"][0])
    assert params["label_embedding"].shape == (1, WIDTH - 5)
    assert set(params) == {f"{m.name}_embedding" for m in ALL}


def test_slices_say_which_inputs_are_of_what():
    assert slices(ALL) == {
        "video": slice(0, 8),
        "sound": slice(8, 11),
        "label": slice(11, 12),
    }


def test_what_is_hidden_leaves_nothing_but_its_place():
    arrays = examples()
    flags = {"hidden": {"label": jnp.asarray([True, False])}}
    inputs, params = read(arrays, hides=True, **flags)
    np.testing.assert_array_equal(inputs.array[0, -1], params["label_hidden"][0])
    np.testing.assert_array_equal(inputs.array[1, -1, :5], arrays["label"][1])
    assert "video_hidden" in params  # whatever is hidden, the parameters are the same


def test_what_is_not_known_is_not_attended_to():
    sound = slices(ALL)["sound"]
    inputs, _ = read(examples(), known={"sound": jnp.asarray([3, 0])})
    expected = np.ones((2, 12), bool)
    expected[:, sound] = [[True, False, False], [False, False, False]]
    np.testing.assert_array_equal(inputs.mask, expected)


def test_a_video_that_ends_early_lacks_its_last_frames():
    video = Modality("video", (4, 4, 4), 1, (2, 2, 2), 1, (2, 2, 2))
    known = video.known(jnp.asarray([4, 3, 2, 1, 0]))
    assert known.reshape(5, 2, 4).all(-1).tolist() == [
        [True, True],
        [True, True],
        [True, False],
        [True, False],
        [False, False],
    ]


def queries(modality, points):
    model = hk.transform(lambda p: ModalityQueries(ALL, vector_channels=6)(modality, p))
    params = model.init(jax.random.key(0), points)
    return model.apply(params, None, points), params["modality_queries"]


def test_queries_are_of_any_elements():
    points = np.array([[15, 3], [0, 7]])
    found, params = queries(VIDEO, points)
    assert found.shape == (2, 2, 3 * 7 + 2)
    # One step before 1 ends what is asked for.
    place = np.unravel_index(points[1, 1], VIDEO.grid)
    x = np.array([-1 + 2 * i / n for i, n in zip(place, VIDEO.grid)])
    table = position.fourier_features(x, 3, VIDEO.max_resolution)
    np.testing.assert_allclose(found[1, 1, :21], table, atol=1e-6)
    np.testing.assert_array_equal(found[1, 1, 21:], params["video_embedding"][0])


def test_the_query_of_a_vector_is_learned():
    found, params = queries(LABEL, np.zeros((1, 1), int))
    expected = np.concatenate([params["label_query"], params["label_embedding"]], 1)
    assert found.shape == (1, 1, 23)
    np.testing.assert_array_equal(found[0], expected)


def test_queries_made_chunk_by_chunk_are_decoded_as_all_at_once():
    latents = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    sizes = {"query_residual": False, "long_axis": "queries"}

    def decode(latents, chunk):
        decoder = perceiver.Decoder(
            lambda: perceiver.attention.CrossAttention(1, **sizes), 6, query_chunk=chunk
        )
        make = ModalityQueries(ALL, vector_channels=6)
        project = perceiver.attention.Projection(3, name="video_output")
        points = jnp.arange(VIDEO.num_elements)[None]
        embed = lambda points: make(VIDEO, points)  # noqa: E731
        return decoder(latents, points, embed=embed, finish=project)

    whole = hk.transform(lambda x: decode(x, 0))
    params = whole.init(jax.random.key(0), latents)
    expected = whole.apply(params, None, latents)
    assert expected.shape == (2, 8, 3)
    found = hk.transform(lambda x: decode(x, 3)).apply(params, None, latents)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_sizes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"sound of \(13,\).*patches of \(4,\)"):
        Modality("sound", (13,), 1, (4,), 2, (3,))
    with pytest.raises(ValueError, match="a patch and a max_resolution of as many"):
        Modality("video", (2, 8, 8), 3, (4, 4), 3, (2, 2, 2))
    with pytest.raises(ValueError, match=r"sound must be \[B, 12, 1\], got \(2, 12\)"):
        SOUND.cut(np.zeros((2, 12)))
