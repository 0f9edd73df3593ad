"""Pictures of what a model does, as uint8 arrays [h, w, 3]."""

import numpy as np

_FRAME = np.array([220, 40, 40], np.uint8)
_SMALLEST = 64  # pixels; smaller images are magnified


def contact_sheet(
    images: np.ndarray, marked: np.ndarray, columns: int = 4
) -> np.ndarray:
    """Sets images side by side, in rows; small ones are magnified.

    Args:
      images: [n, h, w, 3] uint8.
      marked: [n] bool, which images get a red frame; the others get a white one.
      columns: images in a row.

    Returns:
      [rows * h', columns * w', 3] uint8, with h' and w' for magnified, framed images.
    """
    scale = max(1, -(-_SMALLEST // min(images.shape[1:3])))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    images = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), constant_values=255)
    inner = np.zeros(images.shape[1:3], bool)
    inner[4:-4, 4:-4] = True
    images[np.asarray(marked)[:, None, None] & ~inner] = _FRAME
    missing = -len(images) % columns
    blank = np.full((missing, *images.shape[1:]), 255, np.uint8)
    cells = np.concatenate([images, blank])
    rows = cells.reshape(-1, columns, *cells.shape[1:]).swapaxes(1, 2)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1, 3)
