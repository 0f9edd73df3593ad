r"""Images a second of the ImageNet training pipeline, on one thread.

    python benchmarks/data.py

Beside it, the same operations as one would first write them: crop, then resize;
normalize in float64, channel by channel. The two are interleaved, so that their ratio
holds on a busy machine.
"""

import io
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags
from PIL import Image
from sklearn.datasets import load_sample_images

from perceiver_jax.data import image

_SECONDS = flags.DEFINE_float("seconds", 10, "How long to measure.", lower_bound=0)

_SIZE = (224, 224)


def _photograph() -> bytes:
    """A JPEG of 375x500 pixels, ImageNet's most common size."""
    picture = Image.fromarray(load_sample_images().images[0]).resize((500, 375))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def ours(data: bytes, rng: np.random.Generator) -> np.ndarray:
    """Encoded bytes to normalized pixels, float32 [224, 224, 3]."""
    picture = image.decode(data, "photograph")
    picture = image.flip(image.inception_crop(picture, _SIZE, rng), rng)
    return image.normalize(image.rand_augment(picture, rng))


def naive(data: bytes, rng: np.random.Generator) -> np.ndarray:
    """The same without care for speed."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    share, aspect = rng.uniform(0.08, 1), rng.uniform(3 / 4, 4 / 3)
    width = min(int((share * aspect * 375 * 500) ** 0.5), 500)
    height = min(int((share / aspect * 375 * 500) ** 0.5), 375)
    left, top = int(rng.integers(501 - width)), int(rng.integers(376 - height))
    picture = picture.crop((left, top, left + width, top + height))
    picture = image.flip(picture.resize(_SIZE, Image.Resampling.BICUBIC), rng)
    pixels = np.array(image.rand_augment(picture, rng)) / 255
    return ((pixels - image.MEAN) / image.STD).astype(np.float32)


def main(argv: list[str]) -> None:
    """Prints both speeds and their ratio."""
    del argv
    data = _photograph()
    rng = np.random.default_rng(0)
    pipelines: list[Callable[..., np.ndarray]] = [ours, naive]
    seconds = dict.fromkeys(pipelines, 0.0)
    rounds, per_round = 0, 20
    while rounds == 0 or sum(seconds.values()) < _SECONDS.value:
        for pipeline in pipelines:
            start = time.perf_counter()
            for _ in range(per_round):
                pipeline(data, rng)
            seconds[pipeline] += time.perf_counter() - start
        rounds += 1
    for pipeline in pipelines:
        rate = rounds * per_round / seconds[pipeline]
        print(f"{pipeline.__name__:6}{rate:6.0f} images/s")
    print(f"ratio {seconds[naive] / seconds[ours]:6.2f}")


if __name__ == "__main__":
    app.run(main)
