"""A user's pictures: decoded from their codes at any resolution, coarse to fine."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from ml_collections import config_dict
from PIL import Image

from experiments import drawing, predicting
from experiments.image_autoencoding.model import query_grid
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


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Writes pictures as they are decoded, the coarse ones on the way, and a video."""

    scale: int = predicting.flag(
        1, "Steps to decode from each pixel of the picture to the next.", at_least=1
    )
    suffixes = decoding.SUFFIXES
    needs_folder = True

    def __post_init__(self):
        config = self.config.copy_and_resolve_references()
        config.model.query_scale = self.scale
        object.__setattr__(self, "config", config)  # what the model is made of

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
        decoded = decode(apply, image, self.config.model.image_size, self.scale)
        final = denormalize(decoded)
        stages = {f"every_{step}": coarse(final, step) for step in STEPS}
        stages["decoded"] = final
        paths = {name: folder.file(f"{item.stem}_{name}.png") for name in stages}
        for name, path in paths.items():
            Image.fromarray(stages[name]).save(path)
        moving = folder.file(f"{item.stem}_coarse_to_fine.mp4")
        shown = [pixels for pixels in stages.values() for _ in range(_FRAMES)]
        video.write(moving, [*shown, *[final] * _FRAMES], _RATE)
        own_pixels = decoded[:: self.scale, :: self.scale]
        return {
            "input": item.name,
            "size": list(final.shape[:2]),
            "psnr": float(psnr(own_pixels[None], image[None])[0]),
            "decoded": str(paths["decoded"]),
            "coarse": [str(paths[f"every_{step}"]) for step in STEPS],
            "video": str(moving),
        }

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
        """See the base class; of the picture's first tile."""
        model, (height, width) = self.config.model, self._tile
        tile = self._read(item)[:height, :width]
        maps = look({"image": tile[None]})
        encoder = np.asarray(maps[drawing.ENCODER])[0].mean(0)  # [N, M]
        decoder = np.asarray(maps[drawing.DECODER])[0].mean(0)  # [O, N]
        grid = (height // model.patch_size, width // model.patch_size)
        latents = drawing.choose_latents(encoder[None], NUM_LATENTS)
        looked = encoder.reshape(-1, *grid)[latents]
        read = decoder.T.reshape(-1, *query_grid((height, width), self.scale))[latents]
        figure = drawing.draw_cells(
            denormalize(tile),
            np.concatenate([looked, read]),
            [
                *(f"latent {n} looks at" for n in latents),
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
        return (
            f"{record['input']}: decoded at {height}x{width} pixels, "
            f"{record['psnr']:.2f} dB; {record['decoded']}, {record['video']}"
        )


def decode(
    apply: Apply, image: np.ndarray, tile: Sequence[int], scale: int
) -> np.ndarray:
    """Decodes a picture in tiles of the model's size; where they overlap, their mean.

    Memory is that of one tile, and of the picture.

    Args:
      apply: the model, whose query_scale is `scale`.
      image: [H, W, 3] from -1 to 1.
      tile: height and width that the model reads.
      scale: steps from pixel to pixel.

    Returns:
      [(H - 1) scale + 1, (W - 1) scale + 1, 3] float32; tiles weigh by the distance to
      their edge.
    """
    size = query_grid(tile, scale)
    weight = tiling.tile_weights(size)[..., None]
    total = np.zeros((*query_grid(image.shape[:2], scale), 3), np.float32)
    weights = np.zeros((*total.shape[:2], 1), np.float32)
    for top, left in tiling.tile_corners(image.shape[:2], tile):
        part = image[top : top + tile[0], left : left + tile[1]]
        colors = np.asarray(apply({"image": part[None]})[0], np.float32)
        rows, columns = (
            slice(start * scale, start * scale + length)
            for start, length in zip((top, left), size)
        )
        total[rows, columns] += weight * colors.reshape(*size, 3)
        weights[rows, columns] += weight
    return total / weights


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
