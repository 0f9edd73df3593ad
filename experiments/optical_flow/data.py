"""The pairs of frames that a config's `data` describes."""

import collections
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known, check_size
from perceiver_jax.data import loader, sources
from perceiver_jax.data.flow import datasets, pair_files, photos, rendering
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
    phases = [_phase(row, len(data.train)) for row in data.phases]
    ends = [phase.until for phase in phases]
    if ends != sorted(set(ends)) or not ends or ends[0] <= 0 or ends[-1] != 1:
        raise ValueError(
            f"data.phases end at {ends}: shares of training must rise, the last to 1."
        )
    return phases


def _phase(row: Any, num_datasets: int) -> Phase:
    try:
        until, strength, both_ways, weights = row
        phase = Phase(until, strength, both_ways, tuple(weights))
        fits = (
            isinstance(both_ways, bool)
            and len(phase.weights) == num_datasets
            and min(until, strength, *phase.weights) >= 0
            and sum(phase.weights) > 0
        )
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"data.phases has {row!r}: a row is (until, strength, both_ways, (weights "
            f"of the {num_datasets} in data.train,)), such as (1.0, 0.5, False, "
            f"{(1.0,) * num_datasets})."
        )
    return phase


def load(
    data: config_dict.ConfigDict, names: Sequence[str], tile: tuple[int, int]
) -> dict[str, Source]:
    """Returns datasets with known flow, by their names in a config.

    Args:
      data: the config's `data`.
      names: of datasets.
      tile: the size of frame that the model takes; no frames may be smaller.

    Raises:
      ValueError: an unknown name, one that comes twice, one without public flow, or
        frames that are too small.
      FileNotFoundError: one is not there; says where it should be.
    """
    check_known("data.source", data.source, ("datasets", "synthetic"))
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"{tuple(names)} must be names of datasets, each once.")
    for name in names:
        check_known("dataset", name, [*datasets.DATASETS, *_SEEDS])
        if name in datasets.TEST_SETS:
            raise ValueError(
                f"The flow of '{name}' is not public: it can be predicted only, by "
                "experiments.optical_flow.submission."
            )
    return {name: _load(data, name, tile) for name in names}


def _load(data, name, tile):
    if data.source == "datasets" and name in datasets.DATASETS:
        source = datasets.open_dataset(name, data.dir)
        source.check_sizes(tile)
        return source
    size = tuple(data.render_size)
    check_size("data.render_size", size)
    if size[0] < tile[0] or size[1] < tile[1]:
        raise ValueError(
            f"data.render_size={size} is smaller than model.image_size={tile}: raise "
            "the one or lower the other."
        )
    return _noise(size) if data.source == "synthetic" else _render(data, name)


def _render(data: config_dict.ConfigDict, name: str) -> Source:
    size = tuple(data.render_size)
    moved = name == "moved_photos"
    folder = data.test_photos if moved else data.photos
    images: photos.Photos
    if folder:
        images = photos.folder(pathlib.Path(folder).expanduser())
    else:
        images = photos.matplotlib_portrait() if moved else photos.scikit_learn()
    look = rendering.Rendering(size, data.motion, tuple(data.objects), tuple(data.zoom))
    if moved:
        look = look.only_homographies()
    count = data.rendered_pairs if name == "rendered" else TEST_PAIRS
    source = rendering.RenderedPairs(images, look, count, _SEEDS[name])
    return sources.Kept(source) if data.keep_rendered else source


def _noise(size: tuple[int, int]) -> Source:
    """Noise, to measure speed, and to compile, without data."""
    rng = np.random.default_rng(0)
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


def by_shape(source: Source) -> list[Source]:
    """Returns a dataset in parts whose frames all have one size.

    A batch has one size only, and KITTI's frames have several.
    """
    if not isinstance(source, pair_files.PairFiles):
        return [source]
    groups = collections.defaultdict(list)
    for index in range(len(source)):
        groups[source.shape(index)].append(index)
    return [sources.Subset(source, indices) for indices in groups.values()]
