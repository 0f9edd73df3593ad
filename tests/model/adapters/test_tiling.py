"""Frames larger than a model's, in tiles."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.model.adapters import tiling

TILE = (24, 26)


def blend(predict, frames, tile=TILE, corners=None):
    """tiling.blend_tiles as a program."""
    if corners is None:
        corners = tiling.tile_corners(frames.shape[2:4], tile)
    function = hk.transform(lambda x: tiling.blend_tiles(predict, x, tile, corners))
    return np.asarray(jax.jit(function.apply)({}, None, frames))


def frames_of(height, width, batch=1):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, 2, height, width, 3)).astype(np.float32)


def told_by_its_tile(part):
    """What a model might say, other for each tile."""
    mean = part[:, 1].mean((1, 2, 3), keepdims=True)
    return part[:, 0, :, :, :2] * mean


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (368, [0]),
        (369, [0, 1]),
        (436, [0, 68]),
        (716, [0, 348]),
        (717, [0, 348, 349]),
        (1024, [0, 348, 656]),
    ],
)
def test_tiles_cover_an_axis_once_and_overlap(length, starts):
    assert tiling.tile_starts(length, 368) == starts
    for start, after in zip(starts, starts[1:]):
        assert start + 368 - after >= tiling.MIN_OVERLAP


def test_sintel_takes_six_tiles():
    assert len(tiling.tile_corners((436, 1024), (368, 496))) == 6


@pytest.mark.parametrize("shape", [(24, 26), (30, 37), (61, 90)])
def test_every_pixel_is_in_a_tile(shape):
    count = np.zeros(shape, int)
    for row, column in tiling.tile_corners(shape, TILE):
        count[row : row + TILE[0], column : column + TILE[1]] += 1
    assert count.min() >= 1


@pytest.mark.parametrize("tile", [(24, 26), (5, 8), (368, 496)])
def test_weights_are_symmetric_and_fall_to_every_edge(tile):
    weights = tiling.tile_weights(tile)
    assert weights.shape == tile and weights.min() == 1
    np.testing.assert_array_equal(weights, weights[::-1])
    np.testing.assert_array_equal(weights, weights[:, ::-1])
    for edge in (weights[0], weights[-1], weights[:, 0], weights[:, -1]):
        assert (edge == 1).all()
    assert weights.max() == (min(tile) + 1) // 2


def test_blend_is_the_mean_weighted_by_distance_to_the_edge():
    """Against loops over pixels, for a model that says where its tile is."""
    frames = frames_of(30, 37, batch=2)
    found = blend(told_by_its_tile, frames)
    total, weights = np.zeros((2, 30, 37, 2)), np.zeros((30, 37, 1))
    for top in (0, 6):
        for left in (0, 11):
            part = told_by_its_tile(frames[:, :, top : top + 24, left : left + 26])
            for y in range(24):
                for x in range(26):
                    weight = min(y + 1, 24 - y, x + 1, 26 - x)
                    total[:, top + y, left + x] += weight * part[:, y, x]
                    weights[top + y, left + x] += weight
    np.testing.assert_allclose(found, total / weights, rtol=1e-5, atol=1e-6)


def test_a_constant_field_comes_back_to_the_bit():
    constant = jnp.array([0.1, -3.3], jnp.float32)
    predict = lambda part: jnp.broadcast_to(constant, (*part.shape[:1], *TILE, 2))
    found = blend(predict, frames_of(61, 90))
    np.testing.assert_array_equal(found, np.broadcast_to(constant, (1, 61, 90, 2)))


def test_the_order_of_tiles_does_not_matter():
    frames = frames_of(61, 90)
    corners = tiling.tile_corners((61, 90), TILE)
    first = blend(told_by_its_tile, frames, corners=corners)
    order = np.random.default_rng(0).permutation(len(corners))
    for other in (corners[::-1], corners[order]):
        again = blend(told_by_its_tile, frames, corners=other)
        np.testing.assert_allclose(again, first, rtol=1e-5, atol=1e-6)


def test_one_tile_is_the_model_itself():
    frames = frames_of(*TILE)
    np.testing.assert_array_equal(
        blend(told_by_its_tile, frames), jax.jit(told_by_its_tile)(frames)
    )


def test_frames_smaller_than_a_tile_are_refused():
    with pytest.raises(ValueError, match="4 pixels are fewer than a tile of 24"):
        tiling.tile_corners((4, 90), TILE)
