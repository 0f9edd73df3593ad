"""A user's pictures: decoded from their codes at any resolution, coarse to fine."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from ml_collections import config_dict
from PIL import Image

from experiments import drawing, predicting
from experiments.image_autoencoding.model import place_features
from experiments.image_autoencoding.outputs import psnr
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.data.flow.pairs import denormalize, normalize
from perceiver_jax.data.image import decoding
from perceiver_jax.data.video import files as video
from perceiver_jax.model.adapters import tiling

NUM_LATENTS = 5  # with maps in the picture of attention
STEPS = (32, 16, 8, 4, 2)  # pixels from one that is shown to the next, coarse to fine
_RATE = Fraction(5)  # frames a second
_FRAMES = 5  # of each coarse picture; twice as many of the last one
_ROUNDING = 1e-6  # of a pixel


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Writes pictures as they are decoded, the coarse ones on the way, and a video."""

    height: int = predicting.flag(
        0,
        "Rows to decode, and columns in proportion; 0 for those of the picture.",
        at_least=0,
    )
    suffixes = decoding.SUFFIXES
    needs_folder = True

    @property
    def config_to_look_at(self) -> config_dict.ConfigDict:
        """See the base class."""
        config = self.config.copy_and_resolve_references()
        config.model.query_chunk = 0
        return config

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.path_items(paths, lines)

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; the files are pictures and a video."""
        if folder is None:
            raise ValueError(
                "Pictures are written to files: say where with --output=DIR."
            )
        image = self._read(item)
        size = self._size(*image.shape[:2])
        decoded = decode(apply, self.config.model, image, size)
        final = denormalize(decoded)
        stages = {f"every_{step}": coarse(final, step) for step in STEPS}
        stages["decoded"] = final
        paths = {name: folder.file(f"{item.stem}_{name}.png") for name in stages}
        for name, path in paths.items():
            Image.fromarray(stages[name]).save(path)
        moving = folder.file(f"{item.stem}_coarse_to_fine.mp4")
        shown = [pixels for pixels in stages.values() for _ in range(_FRAMES)]
        video.write(moving, [*shown, *[final] * _FRAMES], _RATE)
        is_own_size = size == image.shape[:2]
        return {
            "input": item.name,
            "size": list(size),
            "psnr": float(psnr(decoded[None], image[None])[0]) if is_own_size else None,
            "decoded": str(paths["decoded"]),
            "coarse": [str(paths[f"every_{step}"]) for step in STEPS],
            "video": str(moving),
        }

    def _size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns the rows and columns to decode of a picture of so many."""
        if not self.height:
            return rows, columns
        if self.height == 1:
            raise ValueError("--height=1 is no picture: decode two rows or more.")
        return self.height, max(2, round(columns * self.height / rows))

    def _read(self, item: Item) -> np.ndarray:
        """Returns a picture [H, W, 3] from -1 to 1.

        Raises:
          ValueError: it can't be decoded, or is smaller than the model's crops.
        """
        pixels = decoding.read_image(item.data)
        (height, width), (rows, columns) = pixels.shape[:2], self._tile
        if height < rows or width < columns:
            raise ValueError(
                f"{item.name}: {height}x{width} pixels are fewer than the model's "
                f"{rows}x{columns}: enlarge the picture."
            )
        return normalize(pixels)

    @property
    def _tile(self) -> tuple[int, int]:
        height, width = self.config.model.image_size
        return height, width

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; of the tile in the picture's middle."""
        model, (height, width) = self.config.model, self._tile
        image = self._read(item)
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        tile = image[top : top + height, left : left + width]
        maps = look({"image": tile[None]})
        encoder = np.asarray(maps[drawing.ENCODER])[0].mean(0)  # [N, M]
        decoder = np.asarray(maps[drawing.DECODER])[0].mean(0)  # [O, N]
        grid = (height // model.patch_size, width // model.patch_size)
        latents = drawing.choose_latents(encoder[None], NUM_LATENTS)
        looked = np.concatenate([encoder[latents], encoder.mean(0, keepdims=True)])
        looked = looked.reshape(-1, *grid)
        looked = looked.repeat(model.patch_size, 1).repeat(model.patch_size, 2)
        read = decoder.T.reshape(-1, height, width)[latents]
        figure = drawing.draw_cells(
            denormalize(tile),
            np.concatenate([looked, read]),
            [
                *(f"latent {n} looks at" for n in latents),
                "all latents look at",  # so that each is read below where it looks
                *(f"latent {n} is read by" for n in latents),
            ],
        )
        arrays, picture = (
            folder.file(f"{item.stem}_attention{suffix}") for suffix in (".npz", ".png")
        )
        np.savez(arrays, encoder=encoder.astype("f2"), decoder=decoder.astype("f2"))
        drawing.save(figure, picture)
        return [str(arrays), str(picture)]

    def describe(self, record: Record) -> str:
        """See the base class."""
        height, width = record["size"]
        ratio = "" if record["psnr"] is None else f", {record['psnr']:.2f} dB"
        return (
            f"{record['input']}: decoded at {height}x{width} pixels{ratio}; "
            f"{record['decoded']}, {record['video']}"
        )


def decode(
    apply: Apply,
    model: config_dict.ConfigDict,
    image: np.ndarray,
    size: tuple[int, int],
) -> np.ndarray:
    """Decodes a picture at any size, in tiles of what the model reads.

    Where tiles overlap, each weighs by the distance to its edge. Memory is that of one
    tile, and of the picture.

    Args:
      apply: the model.
      model: the config's.
      image: [H, W, 3] from -1 to 1.
      size: rows and columns to decode; the outermost ones lie on the picture's.

    Returns:
      [*size, 3] float32.
    """
    total = np.zeros((*size, 3), np.float32)
    weights = np.zeros((*size, 1), np.float32)
    height, width = model.image_size
    across = cut(image.shape[1], width, size[1])
    for row in cut(image.shape[0], height, size[0]):
        for column in across:
            batch = {
                "image": image[None, row.pixels, column.pixels],
                "rows": place_features(model, 0, row.places),
                "columns": place_features(model, 1, column.places),
            }
            colors = np.asarray(apply(batch)[0], np.float32)
            colors = colors.reshape(len(row.places), len(column.places), 3)
            weight = np.minimum.outer(row.weights, column.weights)[..., None]
            total[row.outputs, column.outputs] += weight * colors
            weights[row.outputs, column.outputs] += weight
    return total / weights


class Stretch(NamedTuple):
    """What a tile reads and decodes along one axis.

    Attributes:
      pixels: that it reads.
      outputs: that it decodes.
      places: of these in the tile, [n] from -1, its first pixel, to 1, its last.
      weights: [n], pixels to the end of the tile, and 1; 0 beyond.
    """

    pixels: slice
    outputs: slice
    places: np.ndarray
    weights: np.ndarray


def cut(length: int, tile: int, count: int) -> list[Stretch]:
    """Cuts an axis into tiles that overlap, all of them with as many outputs.

    One model is then compiled for all.

    Args:
      length: pixels of the axis.
      tile: pixels that the model reads, two or more.
      count: outputs, two or more: from the first pixel to the last.
    """
    pixels, gaps = length - 1, count - 1
    inside = (tile - 1) * gaps // pixels + 1  # that may lie in a tile
    found = []
    for start in tiling.tile_starts(length, tile):
        first = -(-start * gaps // pixels)
        outputs = np.arange(first, first + inside)
        offsets = outputs * pixels / gaps - start  # of the tile's first pixel
        ends = np.minimum(offsets, tile - 1 - offsets)
        found.append(
            Stretch(
                slice(start, start + tile),
                slice(first, first + inside),
                np.clip(offsets / (tile - 1) * 2 - 1, -1, 1),
                np.where(ends > -_ROUNDING, ends + 1, 0),
            )
        )
    return found


def coarse(picture: np.ndarray, step: int) -> np.ndarray:
    """Returns a picture of every step-th pixel each way, as large as it was.

    Queries know nothing of each other, so these pixels are what the model says if it is
    asked for them alone.
    """
    rows, columns = (
        np.minimum(np.arange(n) // step * step + step // 2, n - 1)
        for n in picture.shape[:2]
    )
    return picture[rows[:, None], columns]
