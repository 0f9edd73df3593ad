"""A few photographs in the archives and names of the real ImageNet (ILSVRC 2012)."""

import io
import pathlib
import tarfile

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.datasets import load_sample_images

# Real files that are not what their name says; see the builder in TFDS.
CMYK_FILE = "n01739381_1309.JPEG"
PNG_FILE = "n02105855_2933.JPEG"


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A random part, of height and width `size`, of a real photograph."""
    pixels = load_sample_images().images[rng.integers(2)]
    top, left = (
        int(rng.integers(whole - part + 1))
        for whole, part in zip(pixels.shape, size, strict=False)
    )
    return Image.fromarray(pixels[top : top + size[0], left : left + size[1]])


def encode(image: Image.Image, file_format: str = "JPEG") -> bytes:
    """The bytes of an image file."""
    encoded = io.BytesIO()
    image.save(encoded, file_format)
    return encoded.getvalue()


def write(
    directory: str | pathlib.Path,
    train_per_class: int = 2,
    num_validation: int = 4,
    size: tuple[int, int] = (96, 128),
) -> int:
    """Writes ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into `directory`.

    Training has the classes of the validation images and two more, of which one has
    the CMYK and the other the PNG file of the real data.

    Returns:
      The number of training images.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    labels = tfds.core.tfds_path("datasets/imagenet2012/validation_labels.txt")
    classes = set(labels.read_text().split()[:num_validation])
    training = {
        f"{name}_{i}.JPEG": encode(photograph(rng, size))
        for name in sorted(classes)
        for i in range(train_per_class)
    }
    training[CMYK_FILE] = encode(photograph(rng, size).convert("CMYK"))
    training[PNG_FILE] = encode(photograph(rng, size), "PNG")

    with tarfile.open(directory / "ILSVRC2012_img_val.tar", "w") as archive:
        for i in range(1, num_validation + 1):
            image = encode(photograph(rng, size))
            _add(archive, f"ILSVRC2012_val_{i:08d}.JPEG", image)
    with tarfile.open(directory / "ILSVRC2012_img_train.tar", "w") as archive:
        for name in sorted({file.split("_")[0] for file in training}):
            files = {f: d for f, d in training.items() if f.startswith(name)}
            _add(archive, f"{name}.tar", _tar(files))
    return len(training)


def _tar(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, data in files.items():
            _add(archive, name, data)
    return written.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
