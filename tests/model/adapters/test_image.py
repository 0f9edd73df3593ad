"""Images as inputs: every stem by numpy, positions beside it, any size of image."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.model import position
from perceiver_jax.model.adapters import image


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def transform(function):
    """The function as init(key, images, is_training) and apply(params, state, ...)."""
    module = hk.without_apply_rng(
        hk.transform_with_state(
            lambda images, is_training: function(images, is_training)
        )
    )
    return module.init, jax.jit(module.apply, static_argnums=3)


def abstract_init(init, images):
    return jax.eval_shape(lambda: init(jax.random.key(0), images, True))


def fourier(*resolution, num_bands=3):
    return lambda: position.FourierPosition(num_bands, resolution)


# Stems.


@pytest.mark.parametrize("size", [(8, 12), (10, 15)])
def test_patches_are_cut_and_mapped_linearly(size):
    images = normal(2, *size, 3)
    init, apply = transform(lambda x, t: image.Patches(4, 5)(x, t))
    params, state = init(jax.random.key(0), images, False)
    params["patches/linear"]["b"] = normal(5, seed=1)
    outputs, _ = apply(params, state, images, False)
    rows, columns = size[0] // 4, size[1] // 4
    assert outputs.shape == (2, rows, columns, 5)
    w, b = params["patches/linear"]["w"], params["patches/linear"]["b"]
    for row in range(rows):
        for column in range(columns):
            patch = images[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            expected = patch.reshape(2, -1) @ w + b
            np.testing.assert_allclose(outputs[:, row, column], expected, atol=1e-5)


def test_image_smaller_than_a_patch_is_refused():
    init, _ = transform(lambda x, t: image.Patches(4, 5)(x, t))
    with pytest.raises(ValueError, match="3x8 pixels has no patch of size 4"):
        init(jax.random.key(0), normal(1, 3, 8, 3), False)


def test_pointwise_maps_each_pixel_by_itself():
    images = normal(2, 3, 5, 1)
    init, apply = transform(lambda x, t: image.Pointwise(6)(x, t))
    params, state = init(jax.random.key(0), images, False)
    params["pointwise/linear"]["b"] = normal(6, seed=1)
    outputs, _ = apply(params, state, images, False)
    linear = params["pointwise/linear"]
    expected = images @ np.asarray(linear["w"]) + linear["b"]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def windows(images, size, stride, fill):
    """Windows [B, H, W, C, size, size] as "SAME" padding places them."""
    pads = [(0, 0)]
    for length in images.shape[1:3]:
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(images, [*pads, (0, 0)], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return view[:, ::stride, ::stride]


def numpy_conv_stem(params, images, moments=None):
    """Outputs, and the mean and variance of the convolution's channels."""
    w = np.float64(params["conv_stem/conv"]["w"])
    x = np.einsum("bhwcpq,pqcd->bhwd", windows(np.float64(images), 7, 2, 0.0), w)
    statistics = x.mean((0, 1, 2)), x.var((0, 1, 2))
    mean, variance = statistics if moments is None else moments
    norm = params["conv_stem/batch_norm"]
    x = (x - mean) / np.sqrt(variance + 1e-5) * norm["scale"] + norm["offset"]
    x = np.maximum(x, 0)
    return windows(x, 3, 2, -np.inf).max((-2, -1)), statistics


@pytest.mark.parametrize("shape", [(16, 16, 3), (13, 18, 1)])
def test_conv_stem_normalises_by_the_batch_in_training_and_by_averages_after(shape):
    init, apply = transform(lambda x, t: image.ConvStem(4)(x, t))
    first, second, other = (normal(3, *shape, seed=seed) + seed for seed in range(3))
    params, state = init(jax.random.key(0), first, True)
    params["conv_stem/batch_norm"] = {
        "scale": np.abs(normal(1, 1, 1, 4, seed=3)),
        "offset": normal(1, 1, 1, 4, seed=4),
    }

    moments = []
    for images in (first, second):
        outputs, state = apply(params, state, images, True)
        expected, statistics = numpy_conv_stem(params, images)
        moments.append(statistics)
        assert outputs.shape == (3, -(-shape[0] // 4), -(-shape[1] // 4), 4)
        np.testing.assert_allclose(outputs, expected, atol=1e-4)

    # Moving averages with decay 0.9, without the pull of their start at zero.
    averages = [(0.9 * a + b) / 1.9 for a, b in zip(*moments)]
    outputs, after = apply(params, state, other, False)
    expected, _ = numpy_conv_stem(params, other, averages)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, after, state)
    # Evaluation does not look at the rest of the batch.
    alone, _ = apply(params, state, other[:1], False)
    np.testing.assert_allclose(alone, outputs[:1], atol=1e-6)


def test_conv_stem_has_float32_statistics_in_bfloat16():
    init, apply = transform(lambda x, t: image.ConvStem(4)(x, t))
    images = normal(2, 16, 16, 3)
    params, state = init(jax.random.key(0), images, True)
    expected, _ = apply(params, state, images, True)
    low = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), (params, images))
    outputs, state = apply(low[0], state, low[1], True)
    assert outputs.dtype == jnp.bfloat16
    for arrays in state.values():
        assert arrays["average"].dtype == jnp.float32
    np.testing.assert_allclose(np.float32(outputs), expected, atol=0.05)


# Inputs.


@pytest.mark.parametrize(
    ("stem", "positions", "length", "channels"),
    [
        (None, [fourier(224, 224, num_bands=64)], 224**2, 261),
        (
            lambda: image.Pointwise(256),
            [lambda: position.LearnedPosition((224, 224), 256, projection=256)],
            224**2,
            512,
        ),
        (lambda: image.ConvStem(64), [fourier(56, 56, num_bands=64)], 56**2, 322),
        (lambda: image.Patches(4, 64), [fourier(56, 56, num_bands=64)], 56**2, 322),
    ],
)
def test_inputs_have_the_sizes_of_the_papers(stem, positions, length, channels):
    def inputs(images):
        return image.ImageInputs(positions, stem)(images, True)

    module = hk.transform_with_state(inputs)
    images = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    params, state = jax.eval_shape(module.init, jax.random.key(0), images)
    outputs, _ = jax.eval_shape(module.apply, params, state, jax.random.key(0), images)
    assert outputs.shape == (2, length, channels)


def test_inputs_are_features_beside_all_positions():
    images = normal(2, 4, 6, 3)
    both = [fourier(4, 6), lambda: position.LearnedPosition((4, 6), 5)]
    init, apply = transform(lambda x, t: image.ImageInputs(both)(x, t))
    params, state = init(jax.random.key(0), images, False)
    outputs, _ = apply(params, state, images, False)
    table = params["image_inputs/learned_position"]["table"]
    features = position.grid_fourier_features((4, 6), 3, (4, 6))
    for b in range(2):
        pixels = images[b].reshape(24, 3)
        expected = np.concatenate([pixels, features, table], axis=1)
        np.testing.assert_array_equal(outputs[b], expected)


STEMS = {
    "pixels": None,
    "pointwise": lambda: image.Pointwise(4),
    "conv": lambda: image.ConvStem(4),
    "patches": lambda: image.Patches(2, 4),
}


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("learned", [False, True])
def test_one_set_of_parameters_serves_grey_images_of_odd_and_other_sizes(stem, learned):
    positions = [fourier(8, 8)]
    if learned:
        positions = [lambda: position.LearnedPosition((8, 8), 5, projection=6)]

    def inputs(images, is_training):
        return image.ImageInputs(positions, STEMS[stem])(images, is_training)

    init, apply = transform(inputs)
    first, other = normal(2, 12, 12, 1), normal(2, 9, 15, 1)
    params, state = init(jax.random.key(0), first, True)
    same_params, _ = abstract_init(init, other)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, same_params)
    shrink = {"conv": lambda n: -(-n // 4), "patches": lambda n: n // 2}.get(stem, int)
    for images in (first, other):
        _, height, width, _ = images.shape
        outputs, _ = jax.eval_shape(
            lambda x: apply(params, state, x, True), jnp.asarray(images)
        )
        channels = (1 if stem == "pixels" else 4) + (6 if learned else 14)
        assert outputs.shape == (2, shrink(height) * shrink(width), channels)


def test_positions_follow_the_feature_map_and_not_the_image():
    init, apply = transform(
        lambda x, t: image.ImageInputs([fourier(4, 4)], STEMS["patches"])(x, t)
    )
    images = normal(1, 8, 12, 3)
    outputs, _ = apply(*init(jax.random.key(0), images, False), images, False)
    expected = position.grid_fourier_features((4, 6), 3, (4, 4))
    np.testing.assert_array_equal(outputs[0, :, 4:], expected)


def test_permutation_shuffles_inputs_with_their_positions_always_alike():
    images = normal(2, 4, 6, 3)

    def inputs(images, seed):
        module = hk.transform(
            lambda x: image.ImageInputs([fourier(4, 6)], None, seed)(x)
        )
        return np.asarray(module.apply({}, None, images))

    plain, shuffled = inputs(images, None), inputs(images, 0)
    order = image.permutation(24, 0)
    np.testing.assert_array_equal(np.sort(order), np.arange(24))
    assert (order != np.arange(24)).any()
    np.testing.assert_array_equal(shuffled, plain[:, order])
    np.testing.assert_array_equal(inputs(images, 0), shuffled)
    np.testing.assert_array_equal(inputs(images[:1], 0), shuffled[:1])
    assert (inputs(images, 1) != shuffled).any()


@pytest.mark.parametrize(
    ("make_stem", "shape"),
    [
        (None, (9, 14)),
        (lambda: image.Pointwise(4), (9, 14)),
        (lambda: image.Patches(4, 5), (2, 3)),
        (lambda: image.ConvStem(4, "data"), (3, 4)),
        (lambda: image.ConvStem(4, same_padding=False), (2, 3)),
    ],
)
def test_a_stem_tells_its_grid(make_stem, shape):
    assert image.grid_shape(make_stem, (9, 14)) == shape
    images = normal(1, 9, 14, 3)
    init, apply = transform(
        lambda x, t: image.ImageInputs([fourier(4, 4)], make_stem)(x, t)
    )
    params, state = abstract_init(init, images)
    found, _ = jax.eval_shape(lambda *args: apply(*args, False), params, state, images)
    assert found.shape[1] == shape[0] * shape[1]


@pytest.mark.parametrize("shape", [(4, 6, 3), (2, 5, 4, 6, 3)])
def test_arrays_that_are_no_batch_of_images_are_refused(shape):
    init, _ = transform(lambda x, t: image.ImageInputs([fourier(4, 6)])(x, t))
    with pytest.raises(ValueError, match=rf"\[B, H, W, channels\], got \({shape[0]}, "):
        init(jax.random.key(0), normal(*shape), False)
