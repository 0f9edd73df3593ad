"""What other codes of as many values make of the same crops.

Each takes crops [B, H, W, 3] from -1 to 1 and returns them decoded.
"""

import math

import numpy as np
from einops import rearrange
from PIL import Image

from perceiver_jax.data.flow.pairs import denormalize, normalize

PATCH = 8  # pixels of the side of what PCA looks at, where it divides the crop


def mean_color(images: np.ndarray) -> np.ndarray:
    """Each crop in its own mean colour: three values."""
    return np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)


def shrink(images: np.ndarray, values: int) -> np.ndarray:
    """Each crop shrunk to at most so many values and enlarged again, by bicubics.

    A crop of no more values is returned as it is.
    """
    height, width = images.shape[1:3]
    share = math.sqrt(values / (3 * height * width))
    if share >= 1:
        return images
    small = (max(1, int(share * width)), max(1, int(share * height)))
    decoded = [
        Image.fromarray(pixels)
        .resize(small, Image.Resampling.BICUBIC)
        .resize((width, height), Image.Resampling.BICUBIC)
        for pixels in denormalize(images)
    ]
    return normalize(np.stack([np.asarray(picture) for picture in decoded]))


class PatchPca:
    """Principal components of patches, so many that a crop has so many values.

    Of patches, not of crops: thousands of components can't be found from few photos.
    """

    def __init__(self, images: np.ndarray, values: int):
        """Finds the components of crops to train on."""
        self._side = math.gcd(PATCH, *images.shape[1:3])
        patches = self._cut(images)
        self._mean = patches.mean((0, 1))
        centred = (patches - self._mean).reshape(-1, patches.shape[-1])
        _, vectors = np.linalg.eigh(centred.T @ centred)  # smallest first
        count = min(values // patches.shape[1], vectors.shape[1])
        self._components = vectors[:, vectors.shape[1] - count :]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Maps crops to what their components make of them."""
        code = (self._cut(images) - self._mean) @ self._components
        return rearrange(
            code @ self._components.T + self._mean,
            "b (h w) (p q c) -> b (h p) (w q) c",
            h=images.shape[1] // self._side,
            p=self._side,
            q=self._side,
        )

    def _cut(self, images: np.ndarray) -> np.ndarray:
        return rearrange(
            np.asarray(images, np.float64),
            "b (h p) (w q) c -> b (h w) (p q c)",
            p=self._side,
            q=self._side,
        )
