"""Pictures of what a model does."""

import numpy as np

from perceiver_jax.data import picture


def test_a_contact_sheet_has_rows_of_framed_and_magnified_images():
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), dtype=np.uint8)
    before = images.copy()
    marked = np.array([False, True, False, False, True])
    sheet = picture.contact_sheet(images, marked, columns=3)
    scale, frame = 4, 4  # to 64 pixels
    height, width = 16 * scale + 2 * frame, 20 * scale + 2 * frame
    assert sheet.shape == (2 * height, 3 * width, 3) and sheet.dtype == np.uint8
    cells = sheet.reshape(2, height, 3, width, 3).swapaxes(1, 2).reshape(6, height, -1)
    cells = cells.reshape(6, height, width, 3)
    for cell, image, is_marked in zip(cells, images, marked):
        inner = cell[frame:-frame, frame:-frame]
        np.testing.assert_array_equal(inner[::scale, ::scale], image)
        np.testing.assert_array_equal(inner[3::scale, 3::scale], image)
        border = np.concatenate([cell[:frame], cell[-frame:]])
        red, green, blue = border.reshape(-1, 3).T
        assert (red > 200).all()
        assert ((green < 100) == is_marked).all() and ((blue < 100) == is_marked).all()
    assert (cells[5] == 255).all(), "the last place is free"
    np.testing.assert_array_equal(images, before)


def test_large_images_are_not_magnified():
    images = np.zeros((2, 64, 100, 3), np.uint8)
    assert picture.contact_sheet(images, np.zeros(2, bool)).shape == (72, 4 * 108, 3)
