"""Numbers and pictures of decoded colours, with NumPy as the judge."""

import numpy as np
import pytest
from small_photos import SIZE, make_images

from experiments.image_autoencoding import outputs


def ratio(colors, target):
    error = (np.clip(colors, -1, 1) - target).astype(np.float64)
    return 10 * np.log10(4 / np.mean(error**2))


def test_psnr_is_of_each_picture_and_clips():
    target = make_images(3)
    colors = target + 0.3 * make_images(3, seed=1)
    colors[0] = 5.0
    found = outputs.psnr(colors, target)
    expected = [ratio(*pair) for pair in zip(colors, target)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    white = np.ones_like(target)
    np.testing.assert_allclose(outputs.psnr(3 * white, white), 100, rtol=1e-3)


@pytest.mark.parametrize(("loss", "power"), [("l2", 2), ("l1", 1)])
def test_metrics_are_of_the_pixels_that_were_asked_for(loss, power):
    images = make_images(2)
    points = np.array([[5, 100, 7], [191, 0, 3]], np.int32)
    rng = np.random.default_rng(1)
    colors = rng.uniform(-1, 1, (2, 3, 3)).astype(np.float32)
    mask = np.array([1, 0], np.float32)
    batch = {"image": images, "points": points, "mask": mask}
    found = outputs.Measure(loss)(colors, batch)
    target = np.stack([x.reshape(-1, 3)[p] for x, p in zip(images, points)])
    value, weight = found["loss"]
    np.testing.assert_allclose(value, np.mean(abs(colors - target) ** power, -1), 1e-5)
    np.testing.assert_array_equal(weight, [[1, 1, 1], [0, 0, 0]])
    value, weight = found["psnr"]
    expected = [ratio(*pair) for pair in zip(colors, target)]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_array_equal(weight, mask)


def test_metrics_of_whole_crops():
    images = make_images(2)
    colors = images.reshape(2, -1, 3) + np.float32(0.5)
    batch = {"image": images, "mask": np.ones(2, np.float32)}
    value, weight = outputs.Measure("l2")(colors, batch)["loss"]
    assert value.shape == weight.shape == (2, 12 * 16)
    np.testing.assert_allclose(value, 0.25, rtol=1e-4)


def test_a_picture_has_a_row_for_each_crop():
    images = make_images(6)
    colors = (images * 0.5).reshape(6, -1, 3)
    picture = outputs.draw(colors, {"image": images})["reconstruction"]
    scale = 15  # of 12 pixels, to 180
    height, width = SIZE
    expected = (4 * (height * scale + 24), 3 * (width * scale + 2), 3)
    assert picture.shape == expected and picture.dtype == np.uint8
    assert outputs.draw(colors[:0], {"image": images[:0]}) == {}
