r"""Examples a second of the training pipelines, on one thread.

    python -m benchmarks.data

Beside each, the same operations as one would first write them. Images: crop, then
resize; normalize in float64, channel by channel. Text: tokenize all ten documents, then
crop, and mask word by word. The two are interleaved, so that their ratio holds on a
busy machine.
"""

import functools
import io
import pathlib
import pydoc_data.topics
import re
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags
from PIL import Image
from sklearn.datasets import load_sample_images

from experiments import program
from experiments.masked_lm import data as masked_lm
from perceiver_jax.data.image import augmentation, decoding, transforms
from perceiver_jax.data.text import corpus, masking, tokenizer

_SECONDS = flags.DEFINE_float("seconds", 10, "How long to measure each.", lower_bound=0)

_SIZE = (224, 224)
_LENGTH = {"bytes": 2048, "sentencepiece": 512}


def photograph() -> bytes:
    """A JPEG of 375x500 pixels, ImageNet's most common size."""
    picture = Image.fromarray(load_sample_images().images[0]).resize((500, 375))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def our_image(data: bytes, rng: np.random.Generator) -> np.ndarray:
    """Encoded bytes to normalized pixels, float32 [224, 224, 3]."""
    picture = decoding.decode(data, "photograph")
    picture = transforms.flip(transforms.inception_crop(picture, _SIZE, rng), rng)
    return transforms.normalize(augmentation.rand_augment(picture, rng))


def naive_image(data: bytes, rng: np.random.Generator) -> np.ndarray:
    """The same without care for speed."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    share, aspect = rng.uniform(0.08, 1), rng.uniform(3 / 4, 4 / 3)
    width = min(int((share * aspect * 375 * 500) ** 0.5), 500)
    height = min(int((share / aspect * 375 * 500) ** 0.5), 375)
    left, top = int(rng.integers(501 - width)), int(rng.integers(376 - height))
    picture = picture.crop((left, top, left + width, top + height))
    picture = transforms.flip(picture.resize(_SIZE, Image.Resampling.BICUBIC), rng)
    pixels = np.array(augmentation.rand_augment(picture, rng)) / 255
    return ((pixels - transforms.MEAN) / transforms.STD).astype(np.float32)


def naive_text(
    documents: Sequence[dict[str, bytes]],
    rng: np.random.Generator,
    *,
    tokens: tokenizer.Tokenizer,
    length: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What masked_lm.Crop does, without care for speed."""
    text = corpus.SEPARATOR.join(document["text"] for document in documents)
    found, hidden = [], []
    for part in re.findall(rb"\s?\S+|\s", text):  # a word with the space before it
        pieces = tokens.encode(part).tolist()
        chosen = bool(part.strip()) and rng.random() < 0.15
        found += [tokenizer.MASK if chosen else piece for piece in pieces]
        hidden += [chosen] * len(pieces)
    start = rng.integers(len(found) - length)
    part = slice(start, start + length)
    return np.array(found[part]), np.array(hidden[part])


def compare(
    title: str, ours: Callable[..., object], naive: Callable[..., object], data: object
) -> None:
    """Prints both speeds and their ratio."""
    rng = np.random.default_rng(0)
    pipelines = {"ours": ours, "naive": naive}
    seconds = dict.fromkeys(pipelines, 0.0)
    rounds, per_round = 0, 20
    while rounds == 0 or sum(seconds.values()) < _SECONDS.value:
        for name, pipeline in pipelines.items():
            start = time.perf_counter()
            for _ in range(per_round):
                pipeline(data, rng)
            seconds[name] += time.perf_counter() - start
        rounds += 1
    rates = {name: rounds * per_round / total for name, total in seconds.items()}
    ratio = rates["ours"] / rates["naive"]
    print(
        f"{title:24} ours {rates['ours']:6.0f}/s  naive {rates['naive']:6.0f}/s  "
        f"ratio {ratio:5.2f}"
    )


def main(_: Sequence[str]) -> None:
    compare("image, 224x224", our_image, naive_image, photograph())
    topics = [text.encode() for text in pydoc_data.topics.topics.values()]
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder, "topics.model")
        model.write_bytes(tokenizer.train(topics, 4000))
        makers = {
            "bytes": tokenizer.Bytes(),
            "sentencepiece": tokenizer.make(str(model)),
        }
    documents = [{"text": text} for text in topics[:10]]
    for name, tokens in makers.items():
        length = _LENGTH[name]
        mask = masking.WholeWords(tokens, 0.15)
        compare(
            f"text, {length} {name}",
            masked_lm.Crop(masked_lm.Hide(tokens, mask, length)),
            functools.partial(naive_text, tokens=tokens, length=length),
            documents,
        )


if __name__ == "__main__":
    program.run(main)
