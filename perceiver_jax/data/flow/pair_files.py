"""Pairs of frames that lie in files, as a source; one's own in a folder.

An example is a pair of pairs.py, with "occluded" where the files say it. Where flow is
not public, frames are all there is: such a pair is not valid anywhere.
"""

import contextlib
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from perceiver_jax.data.flow import files
from perceiver_jax.data.flow.pairs import check_size
from perceiver_jax.data.image import decoding
from perceiver_jax.data.sources import CorruptExample, Example, files_below


class Paths(NamedTuple):
    """The files of one pair.

    Attributes:
      first: the frame that flow starts in.
      second: the frame that it ends in.
      flow: None where it is not public.
      occluded: an image, not 0 where the second frame does not show the pixel.
      invalid: an image, not 0 where flow is not known.
      visible: another flow file, valid only where the second frame shows the pixel.
    """

    first: pathlib.Path
    second: pathlib.Path
    flow: pathlib.Path | None = None
    occluded: pathlib.Path | None = None
    invalid: pathlib.Path | None = None
    visible: pathlib.Path | None = None


class PairFiles:
    """Pairs that lie in files: a source."""

    def __init__(self, pairs: Iterable[Paths], root: pathlib.Path, layout: str):
        """Checks that all files are there.

        Args:
          pairs: their files.
          root: the dataset's folder, for errors.
          layout: what the folder should hold, for errors.

        Raises:
          FileNotFoundError: there are no pairs, or a file of one is missing.
        """
        self.pairs = list(pairs)
        if not self.pairs:
            raise FileNotFoundError(f"{root} holds no pairs; lay it out as {layout}")
        for pair in self.pairs:
            for field, path in pair._asdict().items():
                if path is not None and not path.is_file():
                    raise FileNotFoundError(
                        f"{path} is missing, the {field} file of the pair that starts "
                        f"with {pair.first}"
                    )

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        """Reads the pair at `index`.

        Raises:
          CorruptExample: a file is damaged, or the sizes of a pair's files differ.
        """
        paths = self.pairs[index]
        first, second = (
            decoding.read_image(path) for path in (paths.first, paths.second)
        )
        shape = first.shape[:2]
        _check_shape(second.shape[:2], paths.second, shape, paths.first)
        flow, valid = np.zeros((*shape, 2), np.float32), np.zeros(shape, bool)
        if paths.flow is not None:
            flow, valid = files.read_flow(paths.flow)
            _check_shape(valid.shape, paths.flow, shape, paths.first)
        if paths.invalid is not None:
            valid &= ~_read_mask(paths.invalid, shape, paths.first)
        pair = {
            "frames": np.stack([first, second]),
            "flow": flow,
            "valid": valid,
            "name": self.name(index),
        }
        if paths.occluded is not None:
            pair["occluded"] = _read_mask(paths.occluded, shape, paths.first)
        if paths.visible is not None:
            seen = files.read_flow(paths.visible)[1]
            _check_shape(seen.shape, paths.visible, shape, paths.first)
            pair["occluded"] = valid & ~seen
        return pair

    def name(self, index: int) -> str:
        """The path of a pair's first frame."""
        return str(self.pairs[index].first)

    def shape(self, index: int) -> tuple[int, int]:
        """Returns the height and width of a pair's frames, without decoding them.

        Raises:
          CorruptExample: the first frame says no size.
        """
        path = self.pairs[index].first
        try:
            with Image.open(path) as frame:
                return frame.height, frame.width
        except (Image.UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise CorruptExample(f"{path}: its size can't be read ({error})") from error

    def check_sizes(self, least: tuple[int, int]) -> None:
        """Raises ValueError if a pair's frames are smaller than a model takes.

        A damaged frame is passed over: reading it says what is wrong.
        """
        for index, paths in enumerate(self.pairs):
            with contextlib.suppress(CorruptExample):
                check_size(self.shape(index), least, str(paths.first))


def _read_mask(path, shape, frame):
    mask = decoding.read_image(path).any(-1)
    _check_shape(mask.shape, path, shape, frame)
    return mask


def _check_shape(found, path, wanted, frame):
    if found != wanted:
        raise CorruptExample(
            f"{path} is of {found[0]}x{found[1]} pixels, but {frame} is of "
            f"{wanted[0]}x{wanted[1]}: they are no pair."
        )


def pair_folder(root: pathlib.Path) -> PairFiles:
    """Returns one's own pairs: NAME_img1.png, NAME_img2.png, NAME_flow.flo.

    In any folders below `root`. Frames may be of any format of decoding.py, flow of any
    of files.py; names must be the same up to the last underscore.

    Raises:
      FileNotFoundError: there are no pairs, or a file of one is missing.
      ValueError: there are two files for the same.
    """
    found: dict[pathlib.Path, dict[str, list[pathlib.Path]]] = {}
    for path in files_below(root, {*files.SUFFIXES, *decoding.SUFFIXES}):
        stem, _, part = path.stem.rpartition("_")
        if stem and part in _PARTS and path.suffix.lower() in _suffixes(part):
            parts = found.setdefault(path.with_name(stem), {})
            parts.setdefault(part, []).append(path)
    pairs = []
    for name, parts in found.items():
        for part, paths in parts.items():
            if len(paths) > 1:
                raise ValueError(
                    f"{paths[0]} and {paths[1].name} are both {part} of {name.name}: "
                    "keep one of them there."
                )
        for part in sorted(_PARTS.keys() - parts):
            there = next(iter(parts.values()))[0].name
            raise FileNotFoundError(
                f"{name}_{part}{_PARTS[part]} is missing, beside {there}; it may also "
                f"end in {', '.join(_suffixes(part))}."
            )
        pairs.append(Paths(*(parts[part][0] for part in _PARTS)))
    layout = "NAME_img1.png, NAME_img2.png and NAME_flow.flo"
    return PairFiles(pairs, root, layout)


_PARTS = {"img1": ".png", "img2": ".png", "flow": ".flo"}  # and the usual suffix


def _suffixes(part):
    return files.SUFFIXES if part == "flow" else decoding.SUFFIXES
