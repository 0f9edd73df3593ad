"""Photos to render pairs from."""

import functools
import pathlib

import matplotlib.cbook
import numpy as np
from sklearn.datasets import load_sample_images

from perceiver_jax.data import image
from perceiver_jax.data.flow.datasets import read_image
from perceiver_jax.data.sources import SkipCorrupt

_KEPT = 256  # decoded photos of folders, the last ones used
MAX_CORRUPT = 100  # that a folder may hold


def folder(root: pathlib.Path) -> SkipCorrupt:
    """Returns the images in a folder and those below it: [h, w, 3] uint8 by index.

    For one that can't be decoded stands the next one, up to MAX_CORRUPT of them.

    Raises:
      FileNotFoundError: there are no images.
    """
    paths = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in image.SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise FileNotFoundError(f"{root} holds no images to render pairs from")
    return SkipCorrupt(paths, _read, MAX_CORRUPT)


_read = functools.lru_cache(_KEPT)(read_image)


def scikit_learn() -> list[np.ndarray]:
    """Returns the two photos that come with scikit-learn, a temple and a flower."""
    return list(load_sample_images().images)


def matplotlib_portrait() -> list[np.ndarray]:
    """Returns the photo that comes with Matplotlib, of Grace Hopper."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return [read_image(pathlib.Path(str(path)))]
