"""Positions: coordinates, Fourier features and learned tables, by formula."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.model import position


def test_coordinates_run_from_minus_one_to_one_along_each_axis():
    grid = position.coordinates((3, 5))
    assert grid.shape == (3, 5, 2)
    np.testing.assert_allclose(grid[:, 4, 0], [-1, 0, 1])
    np.testing.assert_allclose(grid[2, :, 1], [-1, -0.5, 0, 0.5, 1])
    assert position.coordinates((2, 3, 4)).shape == (2, 3, 4, 3)


def test_axis_of_one_cell_sits_at_its_first_coordinate():
    np.testing.assert_array_equal(position.coordinates((1, 3))[..., 0], -1)


def test_fourier_features_are_positions_then_sines_then_cosines():
    positions = np.array([[0.3, -0.7], [-1.0, 0.25]])
    features = position.fourier_features(positions, 3, (8, 20))
    # From 1 to half the resolution, in even steps.
    bands = [[1, 2.5, 4], [1, 5.5, 10]]
    for point, row in zip(positions, features):
        angles = [np.pi * x * f for x, axis in zip(point, bands) for f in axis]
        expected = [*point, *np.sin(angles), *np.cos(angles)]
        np.testing.assert_allclose(row, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "num_bands", "channels"),
    [((224, 224), 64, 258), ((30720,), 192, 385), ((16, 56, 56), 32, 195)],
)
def test_fourier_features_of_the_papers_have_their_sizes(shape, num_bands, channels):
    features = position.grid_fourier_features(shape, num_bands, shape)
    assert features.shape == (np.prod(shape), channels)
    assert channels == len(shape) * (2 * num_bands + 1)
    assert features.dtype == np.float32


def test_grid_is_flattened_with_the_last_axis_fastest():
    features = position.grid_fourier_features((4, 6), 2, (4, 6))
    one = position.fourier_features(position.coordinates((4, 6))[2, 5], 2, (4, 6))
    np.testing.assert_array_equal(features[2 * 6 + 5], one)


def test_features_at_audio_frequencies_are_exact_where_float32_is_not():
    length, num_bands = 30720, 192
    features = np.asarray(
        position.grid_fourier_features((length,), num_bands, (length,))
    )
    cells = np.arange(length, dtype=np.longdouble)
    x = (2 * cells / (length - 1) - 1)[:, None]
    bands = 1 + np.arange(num_bands, dtype=np.longdouble) * (length / 2 - 1) / 191
    turns = np.mod(x * bands, 2)  # angles in units of pi, before they grow large
    exact = np.concatenate([x, *(f(np.pi * turns) for f in (np.sin, np.cos))], 1)
    # Half a float32 step, which is what storing the features costs.
    assert np.abs(features - exact).max() < 6e-8
    angles = np.float32(np.pi) * np.float32(x) * np.float32(bands)
    assert np.abs(np.sin(angles) - exact[:, 1 : 1 + num_bands]).max() > 1e-3


def test_frequencies_do_not_depend_on_the_size_of_the_input():
    apply = hk.transform(lambda: position.FourierPosition(4, (8, 8))((15, 15))).apply
    large = apply({}, None).reshape(15, 15, -1)
    small = position.grid_fourier_features((8, 8), 4, (8, 8)).reshape(8, 8, -1)
    np.testing.assert_array_equal(large[::2, ::2], small)


def test_resolution_of_the_wrong_dimension_is_refused():
    with pytest.raises(ValueError, match=r"\(8, 8, 8\) .* 2 dimensions"):
        position.fourier_features(position.coordinates((4, 4)), 2, (8, 8, 8))
    with pytest.raises(ValueError, match=r"\(8, 8, 8\) .* 2 dimensions"):
        position.fourier_features_at(jnp.zeros(3, int), (4, 4), 2, (8, 8, 8))


@pytest.mark.parametrize("shape", [(3072,), (6, 10), (4, 3, 5)])
def test_features_at_cells_are_rows_of_the_grids(shape):
    bands, resolution = 5, tuple(3 * length for length in shape)
    rng = np.random.default_rng(0)
    indices = rng.integers(0, np.prod(shape), (2, 7)).astype(np.int32)
    grid = np.asarray(position.grid_fourier_features(shape, bands, resolution))
    at = jax.jit(lambda x: position.fourier_features_at(x, shape, bands, resolution))
    np.testing.assert_array_equal(at(indices), grid[indices])


def test_learned_arrays_start_from_a_truncated_normal():
    module = hk.transform(lambda: position.learned_array("latents", 200, 50, 0.1))
    params = module.init(jax.random.key(0))
    array = params["~"]["latents"]
    assert array.shape == (200, 50)
    assert np.abs(array).max() <= 0.2
    # A normal cut at two deviations keeps 88% of its deviation.
    np.testing.assert_allclose(array.std(), 0.088, rtol=0.03)
    np.testing.assert_allclose(array.mean(), 0, atol=3e-3)


def look_up(table_shape, shape, table, projection=0, params=None):
    """The rows that a table of `table_shape` gives for an array of `shape`."""

    def rows():
        channels = table.shape[-1]
        return position.LearnedPosition(table_shape, channels, 0.02, projection)(shape)

    module = hk.transform(rows)
    expected = jax.eval_shape(lambda: module.init(jax.random.key(0)))
    params = {"learned_position": {"table": jnp.asarray(table)}, **(params or {})}
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, expected)
    return module.apply(params, None)


def test_learned_table_has_a_row_for_each_cell():
    table = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    np.testing.assert_array_equal(look_up((3, 4), (3, 4), table), table)


def test_learned_rows_may_be_projected():
    rng = np.random.default_rng(0)
    table, w, b = (rng.normal(size=s).astype(np.float32) for s in [(12, 5), (5, 7), 7])
    params = {"learned_position/projection": {"w": w, "b": b}}
    rows = look_up((3, 4), (3, 4), table, 7, params)
    np.testing.assert_allclose(rows, table @ w + b, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 6), (5, 16), (3, 3)])
def test_resampled_constant_stays_constant(shape):
    table = np.tile(np.float32([3.0, -2.0]), (64, 1))
    rows = look_up((8, 8), shape, table)
    assert rows.shape == (shape[0] * shape[1], 2)
    np.testing.assert_allclose(rows, np.tile(table[0], (len(rows), 1)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(16, 24), (24, 8), (5, 7)])
def test_resampled_ramps_stay_ramps_away_from_the_edges(shape):
    ramps = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij"), -1)
    rows = look_up((12, 12), shape, ramps.reshape(144, 2).astype(np.float32))
    rows = np.asarray(rows).reshape(*shape, 2)
    for axis, length in enumerate(shape):
        # Cells cover equal parts of the same extent: their centres tell the value.
        centres = (np.arange(length) + 0.5) * 12 / length - 0.5
        profile = np.moveaxis(rows[..., axis], axis, 0)
        np.testing.assert_allclose(profile.std(1), 0, atol=1e-5)
        inside = (centres > 2.5) & (centres < 8.5)
        np.testing.assert_allclose(profile[inside, 0], centres[inside], atol=0.05)
        np.testing.assert_allclose(profile[:, 0], centres, atol=0.6)
        assert (np.diff(profile[:, 0]) > 0).all()


def test_table_of_another_number_of_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\) can't be resampled to \(3, 4, 5\)"):
        look_up((3, 4), (3, 4, 5), np.zeros((12, 5), np.float32))


def test_cells_may_end_one_step_before_1():
    np.testing.assert_allclose(
        position.coordinates([4], reaches_end=False)[:, 0], [-1, -0.5, 0, 0.5]
    )
