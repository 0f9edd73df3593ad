"""Photos to render pairs from."""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from perceiver_jax import extras
from perceiver_jax.data.image import decoding
from perceiver_jax.data.sources import CorruptExample, SkipCorrupt, files_below

matplotlib = extras.Library("matplotlib", "cbook", extra="flow")
sklearn = extras.Library("sklearn", "datasets", extra="flow")

Photos = Sequence[np.ndarray] | SkipCorrupt  # [h, w, 3] uint8, by index

_KEPT = 64  # decoded photos of folders, the last ones used: 0.8 GB at most
_SIDES = (8, 2048)  # pixels: smaller photos are left out, larger ones shrunk
MAX_CORRUPT = 100  # that a folder may hold


def folder(root: pathlib.Path) -> SkipCorrupt:
    """Returns the images in a folder and those below it: [h, w, 3] uint8 by index.

    Large ones are shrunk to 2,048 pixels. One that can't be decoded, or is smaller than
    8 pixels, is replaced by the next one; MAX_CORRUPT of them are borne.

    Raises:
      FileNotFoundError: `root` is not a folder, or there are no images in it.
    """
    paths = files_below(root, decoding.SUFFIXES)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give one of images")
    if not paths:
        raise FileNotFoundError(f"{root} holds no images to render pairs from")
    return SkipCorrupt(paths, _read, MAX_CORRUPT)


@functools.lru_cache(_KEPT)
def _read(path: pathlib.Path) -> np.ndarray:
    smallest, largest = _SIDES
    photo = decoding.decode(path.read_bytes(), str(path))
    photo.thumbnail((largest, largest))
    if min(photo.size) < smallest:
        size = f"{photo.height}x{photo.width}"
        raise CorruptExample(f"{path}: {size} pixels are too few to render from")
    return np.asarray(photo)


def scikit_learn() -> list[np.ndarray]:
    """Returns the two photos that come with scikit-learn, a temple and a flower."""
    return list(sklearn.datasets.load_sample_images().images)


def matplotlib_portrait() -> list[np.ndarray]:
    """Returns the photo that comes with Matplotlib, of Grace Hopper."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return [decoding.read_image(pathlib.Path(str(path)))]
