"""The pairs of frames that a config's `data` describes."""

import collections
import pathlib
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from perceiver_jax.data import loader, sources
from perceiver_jax.data.flow import datasets, photos, rendering
from perceiver_jax.data.sources import Source

# Of rendered pairs to train on, to test on, and of photos that only the camera moves.
_SEEDS = {"rendered": 0, "rendered_test": 1, "moved_photos": 2}
TEST_PAIRS = 200  # of a rendered set that is evaluated


class Phase(NamedTuple):
    """A part of training: a row of data.phases.

    Attributes:
      until: share of all steps at which it ends.
      strength: of augmentation; at 0, parts are only cut out.
      both_ways: every pair comes forward and reversed, in the same batch.
      weights: of the datasets of data.train.
    """

    until: float
    strength: float
    both_ways: bool
    weights: tuple[float, ...]


def load_phases(data: config_dict.ConfigDict) -> list[Phase]:
    """Returns the rows of data.phases.

    Raises:
      ValueError: they are no curriculum.
    """
    phases = [Phase(*row) for row in data.phases]
    ends = [phase.until for phase in phases]
    if ends != sorted(set(ends)) or not ends or ends[0] <= 0 or ends[-1] != 1:
        raise ValueError(f"data.phases end at {ends}: they must rise from 0 to 1.")
    for phase in phases:
        fits = len(phase.weights) == len(data.train) and sum(phase.weights) > 0
        if not fits or min(phase.weights) < 0 or phase.strength < 0:
            raise ValueError(
                f"{phase} needs a strength of 0 or more, and weights for "
                f"data.train={tuple(data.train)}, not all 0."
            )
    return phases


def load(data: config_dict.ConfigDict, names: tuple[str, ...]) -> dict[str, Source]:
    """Returns datasets by their names in a config.

    Raises:
      ValueError: an unknown name, or one that comes twice.
      FileNotFoundError: one is not there; says where it should be.
    """
    check_known("data.source", data.source, ("datasets", "synthetic"))
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"{tuple(names)} must be names of datasets, each once.")
    return {name: _load(data, name) for name in names}


def _load(data, name):
    check_known("dataset", name, [*datasets.DATASETS, *_SEEDS])
    if data.source == "synthetic":
        return _noise(data)
    if name in datasets.DATASETS:
        return datasets.open_dataset(name, pathlib.Path(data.dir).expanduser())
    return _render(data, name)


def _render(data, name):
    size = tuple(data.render_size)
    moved = name == "moved_photos"
    folder = data.test_photos if moved else data.photos
    if folder:
        images = photos.PhotoFolder(pathlib.Path(folder).expanduser())
    else:
        images = photos.matplotlib_portrait() if moved else photos.scikit_learn()
    look = rendering.Rendering(size, data.motion, tuple(data.objects), tuple(data.zoom))
    if moved:
        look = look.only_homographies()
    count = data.rendered_pairs if name == "rendered" else TEST_PAIRS
    source = rendering.RenderedPairs(images, look, count, _SEEDS[name])
    return sources.Kept(source) if data.keep_rendered else source


def _noise(data):
    """Noise, to measure speed, and to compile, without data."""
    rng = np.random.default_rng(0)
    size = tuple(data.render_size)
    return sources.ArraySource(
        frames=rng.integers(0, 256, (2, 2, *size, 3), dtype=np.uint8),
        flow=rng.normal(size=(2, *size, 2)).astype(np.float32),
        valid=np.ones((2, *size), bool),
        name=np.arange(2),
    )


def mixture(found: dict[str, Source], phase: Phase) -> loader.Mixture:
    """Returns the datasets that a phase trains on, by its weights."""
    chosen = [(s, w) for s, w in zip(found.values(), phase.weights) if w]
    return loader.Mixture(*map(list, zip(*chosen)))


def by_shape(source: Source, tile: tuple[int, int]) -> list[Source]:
    """Returns a dataset in parts whose frames all have one size.

    A batch has one size only, and KITTI's frames have several.

    Raises:
      ValueError: frames are smaller than a tile.
    """
    if not isinstance(source, datasets.PairFiles):
        return [source]
    groups = collections.defaultdict(list)
    for index in range(len(source)):
        groups[source.shape(index)].append(index)
    for shape, (first, *_) in groups.items():
        if shape[0] < tile[0] or shape[1] < tile[1]:
            raise ValueError(
                f"The frames of {source.pairs[first].first} are of {shape[0]}x"
                f"{shape[1]} pixels, smaller than model.image_size={tile}: enlarge "
                "them, or evaluate with a smaller one."
            )
    return [sources.Subset(source, indices) for indices in groups.values()]
