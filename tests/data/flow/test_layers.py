"""Layers: where they are drawn, and of what."""

import numpy as np
import pytest

from perceiver_jax.data.flow import layers, photos
from perceiver_jax.data.flow.layers import Layer
from perceiver_jax.data.flow.motion import Homography, Motion

SIZE = (40, 50)
PHOTOS = photos.scikit_learn()


def shift(x, y):
    zero = np.zeros(2)
    return Motion((Homography(zero, np.array([x, y], float), np.zeros((2, 2)), zero),))


def noise(shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_a_layer_without_mask_covers_the_frame_with_its_moved_texture():
    texture = noise(SIZE)
    layer = Layer(texture, np.eye(3), shift(3, -2))
    region = layer.region(1.0, SIZE)
    assert region == (slice(0, 40), slice(0, 50))
    colors, opacity = layer.sample(1.0, region)
    assert (opacity == 1).all()
    np.testing.assert_array_equal(colors[:38, 3:], texture[2:, :47])
    np.testing.assert_array_equal(layer.sample(0.0, region)[0], texture)


def test_a_layer_s_region_holds_all_that_can_be_seen_of_it():
    square = np.full((10, 12), 255, np.uint8)
    layer = Layer(noise(SIZE), np.eye(3), shift(5, 0), square, np.array([8.0, 15.0]))
    for t in (0.0, 0.5, 1.0):
        rows, columns = layer.region(t, SIZE)
        everywhere = layer.sample(t, (slice(0, 40), slice(0, 50)))[1]
        outside = everywhere.copy()
        outside[rows, columns] = 0
        assert everywhere.sum() == pytest.approx(120, 0.01) and not outside.any()
        assert rows.stop - rows.start < 20 and columns.stop - columns.start < 20
    gone = Layer(noise(SIZE), np.eye(3), shift(99, 0), square, np.zeros(2))
    assert not np.zeros(SIZE)[gone.region(1.0, SIZE)].size


def test_a_texture_is_a_part_of_a_photo_in_other_colours():
    rng = np.random.default_rng(0)
    for _ in range(20):
        texture, placement = layers.random_texture(rng, PHOTOS, SIZE, (0.5, 2.0))
        assert texture.dtype == np.uint8 and texture.std() > 1
        assert min(texture.shape[:2]) >= 20 and max(texture.shape[:2]) <= 51
        # The middle of the frame is in the middle of the texture.
        middle = placement @ [25, 20, 1]
        np.testing.assert_allclose(middle[:2], np.array(texture.shape[1::-1]) / 2)


def test_a_photo_of_one_pixel_is_refused():
    dot = np.zeros((1, 1, 3), np.uint8)
    with pytest.raises(ValueError, match="A photo of .1, 1. pixels is too small"):
        layers.random_texture(np.random.default_rng(0), [dot], SIZE, (0.5, 2.0))


def test_polygons_are_of_many_sizes_and_around_the_frame():
    rng = np.random.default_rng(0)
    areas, corners = [], []
    for _ in range(200):
        mask, corner = layers.random_polygon(rng, (120, 160))
        assert mask.dtype == np.uint8 and mask.max() == 255
        areas.append(mask.mean() / 255 * mask.size / (120 * 160))
        corners.append(corner + np.array(mask.shape[::-1]) / 2)
    assert min(areas) < 0.01 and max(areas) > 0.15
    low, high = np.min(corners, 0), np.max(corners, 0)
    assert (low < [10, 10]).all() and (high > [150, 110]).all()
