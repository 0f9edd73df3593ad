"""Photos to render pairs from."""

import functools
import pathlib

import matplotlib.cbook
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from perceiver_jax.data.flow.datasets import read_image

_KEPT = 256  # decoded photos of folders, the last ones used


class PhotoFolder:
    """All images in a folder and those below it: [h, w, 3] uint8 by index."""

    def __init__(self, root: pathlib.Path):
        """Raises FileNotFoundError: there are no images."""
        known = {s for s, kind in Image.registered_extensions().items() if kind}
        self._paths = sorted(
            path for path in root.rglob("*") if path.suffix.lower() in known
        )
        if not self._paths:
            raise FileNotFoundError(f"{root} holds no images to render pairs from")

    def __len__(self) -> int:
        """Their number."""
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Decodes the photo at `index`; raises CorruptExample where it can't."""
        return _read(self._paths[index])


_read = functools.lru_cache(_KEPT)(read_image)


def scikit_learn() -> list[np.ndarray]:
    """Returns the two photos that come with scikit-learn, a temple and a flower."""
    return list(load_sample_images().images)


def matplotlib_portrait() -> list[np.ndarray]:
    """Returns the photo that comes with Matplotlib, of Grace Hopper."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return [read_image(pathlib.Path(str(path)))]
