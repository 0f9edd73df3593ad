"""The crops of photos that a config's `data` describes.

photo -> {"image" [H, W, 3] float32 from -1 to 1} and, to train on, "points" [n] int32:
the pixels to decode, as indices of the flattened crop
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import config_dict

from perceiver_jax.data import loader, sources
from perceiver_jax.data.flow import photos
from perceiver_jax.data.flow.pairs import normalize
from perceiver_jax.data.image import decoding
from perceiver_jax.data.sources import CorruptExample, Example, Source
from perceiver_jax.engine import sharding

# Without photos of their own, crops to evaluate on are cut from what is below this
# share of each photo's height, and crops to train on from what is above.
_SPLIT = 0.7
_TEST_SEED = 1


@dataclasses.dataclass(frozen=True)
class PhotoFiles:
    """The images of a folder and those below it, encoded."""

    paths: Sequence[pathlib.Path]

    def __len__(self) -> int:
        """The number of files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> Example:
        """Reads one file."""
        return {"image": self.paths[index].read_bytes(), "name": self.name(index)}

    def name(self, index: int) -> str:
        """The path of a file."""
        return str(self.paths[index])


def open_photos(folder: str) -> Source:
    """Returns the photos of a folder, or scikit-learn's two, for "".

    Raises:
      FileNotFoundError: it is not a folder, or there are no images in it.
    """
    if not folder:
        china, flower = photos.scikit_learn()
        names = np.array(["china.jpg", "flower.jpg"])
        return sources.ArraySource(image=np.stack([china, flower]), name=names)
    root = pathlib.Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give one of photos.")
    paths = sources.files_below(root, decoding.SUFFIXES)
    if not paths:
        raise FileNotFoundError(
            f"{root} holds no images ({', '.join(decoding.SUFFIXES)})."
        )
    return PhotoFiles(paths)


def train_loader(config: config_dict.ConfigDict) -> loader.TrainLoader:
    """Returns the crops to train on, without reading any yet.

    Raises:
      FileNotFoundError: see open_photos.
    """
    data, size = config.data, tuple(config.model.image_size)
    region = Region(size, 0.0, 1.0 if data.test_photos else _SPLIT)
    return loader.TrainLoader(
        sources.SkipCorrupt(open_photos(data.photos), region, data.max_corrupt),
        RandomCrops(size, data.num_queries, data.crops_per_photo),
        config.batch_size,
        config.seed,
        siblings=data.crops_per_photo,
        num_workers=data.num_workers,
        **sharding.this_process(),
    )


def test_loader(config: config_dict.ConfigDict) -> loader.EvalLoader:
    """Returns the held-out crops, the same ones at every evaluation.

    Raises:
      FileNotFoundError: see open_photos.
    """
    data, size = config.data, tuple(config.model.image_size)
    region = Region(size, 0.0 if data.test_photos else _SPLIT, 1.0)
    return loader.EvalLoader(
        Repeated(open_photos(data.test_photos or data.photos), data.test_crops),
        TestCrop(region),
        config.eval_batch_size,
        **sharding.this_process(),
    )


@dataclasses.dataclass(frozen=True)
class Repeated:
    """Every photo several times, numbered: a crop is cut from each."""

    photos: Source
    times: int

    def __len__(self) -> int:
        """The number of crops."""
        return len(self.photos) * self.times

    def __getitem__(self, index: int) -> Example:
        """The photo of a crop; neighbours are of different photos."""
        photo = sources.read(self.photos, index % len(self.photos))
        return {**photo, "number": index}

    def name(self, index: int) -> str:
        """The name of a photo."""
        number = index % len(self.photos)
        return self.photos.name(number) if hasattr(self.photos, "name") else f"{number}"


@dataclasses.dataclass(frozen=True)
class Region:
    """Decodes a photo, and takes the rows that crops may be cut from.

    Attributes:
      size: height and width of a crop.
      start: of the rows, as a share of the photo's height.
      end: likewise.
    """

    size: tuple[int, int]
    start: float
    end: float

    def __call__(self, photo: Example) -> Example:
        """Maps a photo to {"image" [H, W, 3] uint8, "name"}.

        Raises:
          CorruptExample: it can't be decoded, or is smaller than a crop.
        """
        name = str(photo["name"])
        pixels = np.asarray(decoding.decode(photo["image"], name))
        first, end = (round(share * len(pixels)) for share in (self.start, self.end))
        part = pixels[first:end]
        if part.shape[0] < self.size[0] or part.shape[1] < self.size[1]:
            raise CorruptExample(
                f"{name}: rows {first} to {end} of {pixels.shape[0]}x"
                f"{pixels.shape[1]} pixels are smaller than a crop of {self.size[0]}x"
                f"{self.size[1]}: use larger photos, a smaller model.image_size, or "
                "evaluate on other photos by data.test_photos"
            )
        return {"image": part, "name": name}


@dataclasses.dataclass(frozen=True)
class RandomCrops:
    """Cuts crops out of a photo to train on, half of them mirrored."""

    size: tuple[int, int]
    num_queries: int  # pixels to decode of a crop, each at most once
    count: int

    def __call__(
        self, photo: Example, rng: np.random.Generator
    ) -> Example | list[Example]:
        """Maps a decoded photo to a crop, or to a list where `count` is not 1."""
        crops = [self._crop(photo["image"], rng) for _ in range(self.count)]
        return crops[0] if self.count == 1 else crops

    def _crop(self, pixels: np.ndarray, rng: np.random.Generator) -> Example:
        crop = random_crop(pixels, self.size, rng)
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        points = rng.choice(crop.shape[0] * crop.shape[1], self.num_queries, False)
        return {"image": normalize(crop), "points": points.astype(np.int32)}


@dataclasses.dataclass(frozen=True)
class TestCrop:
    """Cuts the crop out of a photo of `Repeated` that its number stands for."""

    region: Region

    def __call__(self, photo: Example) -> Example:
        """Maps a photo to {"image" [H, W, 3]}; raises CorruptExample."""
        rng = np.random.default_rng([_TEST_SEED, photo["number"]])
        pixels = self.region(photo)["image"]
        return {"image": normalize(random_crop(pixels, self.region.size, rng))}


def random_crop(
    pixels: np.ndarray, size: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Returns a part [h, w, 3] of pixels [H, W, 3], each place as likely."""
    top, left = (rng.integers(n - part + 1) for n, part in zip(pixels.shape, size))
    return pixels[top : top + size[0], left : left + size[1]]
