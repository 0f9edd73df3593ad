"""Other codes: each has as many values as it may, and what it decodes is known."""

import numpy as np
import pytest
from small_photos import make_images

from experiments.image_autoencoding import baselines
from experiments.image_autoencoding.outputs import psnr


def smooth_images(count, seed=0):
    """Crops of 16x24 whose neighbours are alike."""
    coarse = make_images(count, (4, 6), seed)
    return coarse.repeat(4, 1).repeat(4, 2)


def test_mean_color_is_of_each_crop():
    found = baselines.mean_color(make_images(2))
    assert found.shape == (2, 12, 16, 3)
    np.testing.assert_allclose(found[1, 3, 4], make_images(2)[1].mean((0, 1)))
    assert np.ptp(found, axis=(1, 2)).max() == 0


def test_shrinking_keeps_no_more_than_the_values():
    images = smooth_images(2)
    few, more = (baselines.shrink(images, n) for n in (3, 3 * 8 * 12))
    assert few.std(axis=(1, 2)).max() < 1e-5  # one pixel
    assert psnr(more, images).min() > psnr(few, images).max() + 3
    assert baselines.shrink(images, 3 * 16 * 24) is images


def test_components_are_those_of_numpy():
    images = make_images(5, (16, 24))
    pca = baselines.PatchPca(images, 6 * 10)  # 10 of each of 6 patches of 8x8
    patches = images.reshape(5, 2, 8, 3, 8, 3).swapaxes(2, 3).reshape(30, -1)
    mean = patches.mean(0)
    u, s, v = np.linalg.svd(patches - mean, full_matrices=False)
    expected = (u[:, :10] * s[:10]) @ v[:10] + mean
    expected = expected.reshape(5, 2, 3, 8, 8, 3).swapaxes(2, 3).reshape(images.shape)
    np.testing.assert_allclose(pca(images), expected, atol=1e-5)


@pytest.mark.parametrize(("values", "is_exact"), [(6 * 192, True), (6 * 20, False)])
def test_all_components_decode_exactly(values, is_exact):
    images = make_images(200, (16, 24))
    pca = baselines.PatchPca(images, values)
    found = pca(make_images(2, (16, 24), seed=1))
    error = np.abs(found - make_images(2, (16, 24), seed=1)).max()
    assert (error < 1e-5) == is_exact


def test_fewer_values_than_patches_leave_the_mean():
    images = make_images(3, (16, 24))
    found = baselines.PatchPca(images, 5)(images)
    np.testing.assert_allclose(found[0, :8, :8], found[2, 8:, 16:])
