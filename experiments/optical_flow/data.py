"""The pairs of frames that a config's `data` describes.

pair -> {"frames" [2, H, W, 3], "flow" [H, W, 2], "valid", "damaged" [H, W]} and, where
it is known, "occluded" [H, W]
"""

import collections
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import config_dict

from experiments.checks import check_known
from perceiver_jax.data import loader, sources
from perceiver_jax.data.flow import datasets, pair_files, pairs, photos, rendering
from perceiver_jax.data.sources import Example, Source
from perceiver_jax.engine import sharding
from perceiver_jax.engine.task import Batch

# Of rendered pairs to train on, to test on, and of photos that only the camera moves.
_SEEDS = {"rendered": 0, "rendered_test": 1, "moved_photos": 2}
TEST_PAIRS = 200  # of a rendered set that is evaluated


def load(
    data: config_dict.ConfigDict, field: str, tile: tuple[int, int]
) -> dict[str, Source]:
    """Returns datasets with known flow, by their names in a config.

    Args:
      data: the config's `data`.
      field: of it that has the datasets' names: "train" or "held_out".
      tile: the size of frame that the model takes; none that is made may be smaller.

    Raises:
      ValueError: an unknown name, one that comes twice, one without public flow, or
        rendered frames that are too small.
      FileNotFoundError: one is not there; says where it should be.
    """
    names = tuple(data[field])
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"data.{field}={names} must be names of datasets, each once.")
    for name in names:
        check_known(f"data.{field}", name, [*datasets.DATASETS, *_SEEDS])
        if name in datasets.TEST_SETS:
            raise ValueError(
                f"The flow of '{name}' is not public: it can be predicted only, by "
                "experiments.optical_flow.submission."
            )
    return {name: _load(data, name, tile) for name in names}


def _load(data: config_dict.ConfigDict, name: str, tile: tuple[int, int]) -> Source:
    if data.source == "datasets" and name in datasets.DATASETS:
        return datasets.open_dataset(name, data.dir)
    size = tuple(data.render_size)
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


def held_out_pairs(config: config_dict.ConfigDict) -> dict[str, "HeldOut"]:
    """Returns the datasets of data.held_out, by name.

    Raises:
      ValueError: see `load`; or frames that are smaller than the model's.
      FileNotFoundError: one is not there.
    """
    tile = tuple(config.model.image_size)
    found = load(config.data, "held_out", tile)
    return {
        name: HeldOut(_loaders(source, tile, config.eval_batch_size))
        for name, source in found.items()
    }


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Every pair of a dataset once, frames whole."""

    loaders: Sequence[loader.EvalLoader]  # one for each size of frames

    def batches(self) -> Iterator[Batch]:
        """Yields batches, each of one size: KITTI's frames have several."""
        return itertools.chain.from_iterable(part.batches() for part in self.loaders)


def _loaders(
    source: Source, tile: tuple[int, int], batch_size: int
) -> list[loader.EvalLoader]:
    process = sharding.this_process()
    if not isinstance(source, pair_files.PairFiles):
        return [loader.EvalLoader(source, whole, batch_size, **process)]
    return [
        loader.EvalLoader(
            sources.Subset(source, indices),
            whole,
            batch_size,
            blank=_blank(shape),
            **process,
        )
        for shape, indices in by_shape(source, tile).items()
    ]


def by_shape(
    source: pair_files.PairFiles, tile: tuple[int, int]
) -> dict[tuple[int, int], list[int]]:
    """Returns the sizes of frames that a dataset has, and which pairs have each.

    A pair that does not say its size is damaged; it is put with the first size, whose
    loader leaves it out.

    Raises:
      ValueError: frames are smaller than the model's, or all are damaged.
    """
    groups = collections.defaultdict(list)
    damaged = []
    for index, paths in enumerate(source.pairs):
        try:
            shape = source.shape(index)
        except sources.CorruptExample:
            damaged.append(index)
            continue
        pairs.check_size(shape, tile, str(paths.first))
        groups[shape].append(index)
    if not groups:
        first = source.pairs[0].first
        raise ValueError(f"All {len(damaged)} frames are damaged, such as {first}.")
    next(iter(groups.values())).extend(damaged)
    return groups


def whole(pair: Example) -> Example:
    """Maps a pair to arrays, its frames whole."""
    return to_arrays(pairs.mask_damage(pair))


def _blank(shape: tuple[int, int]) -> Example:
    """Arrays of this size, for a batch in which all pairs are damaged."""
    return whole(
        {
            "frames": np.zeros((2, *shape, 3), np.uint8),
            "flow": np.zeros((*shape, 2), np.float32),
            "valid": np.zeros(shape, bool),
        }
    )


def to_arrays(pair: Example) -> Example:
    """Maps a pair of pairs.mask_damage to what a batch holds of it."""
    names = ("flow", "valid", "damaged", "occluded")
    arrays = {name: np.ascontiguousarray(pair[name]) for name in names if name in pair}
    return {"frames": pairs.normalize(pair["frames"]), **arrays}
