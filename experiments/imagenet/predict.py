"""Images to classes."""

import functools
import pathlib
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import scipy.special
from matplotlib.figure import Figure
from ml_collections import config_dict

from experiments import drawing as attention_pictures
from experiments.imagenet import model as image_model
from experiments.predicting import Apply, Item, Options, Predictor, Record
from perceiver_jax.data.image import decoding, transforms

OPTIONS = ("labels", "top")
NUM_LATENTS = 10  # with maps in the picture of attention


def make_predictor(config: config_dict.ConfigDict, options: Options) -> Predictor:
    """Builds the predictor of a config of configs/imagenet.py."""
    size = tuple(config.data.image_size)
    names = _class_names(options.labels, config.data.num_classes)
    crop = functools.partial(_crop, size=size, fraction=config.data.eval_crop)
    return Predictor(
        forward=image_model.make_forward(config.model, config.data.num_classes, None),
        example={"images": np.zeros((1, *size, 3), np.float32)},
        suffixes=decoding.SUFFIXES,
        items=_items,
        predict=functools.partial(
            _predict,
            crop=crop,
            names=names,
            sigmoid=config.data.loss == "sigmoid",
            top=min(options.top, len(names)),
        ),
        attend=functools.partial(_attend, crop=crop, model=config.model),
        describe=_describe,
    )


def _class_names(path: pathlib.Path | None, num_classes: int) -> list[str]:
    if path is None:
        return [f"class {number}" for number in range(num_classes)]
    names = path.read_text(encoding="utf-8").splitlines()
    if len(names) != num_classes:
        raise ValueError(
            f"{path} has {len(names)} lines, the model {num_classes} classes: it must "
            "hold the name of one class a line, in the order of the classes."
        )
    return names


def _items(paths: Sequence[pathlib.Path], lines: Sequence[bytes]) -> Iterator[Item]:
    for path in [*paths, *(pathlib.Path(line.decode()) for line in lines)]:
        yield Item(str(path), path.stem, path)


def _crop(path, *, size, fraction):
    """Returns the picture that the model sees, and the batch with it."""
    cropped = transforms.center_crop(
        decoding.decode(path.read_bytes(), str(path)), size, fraction
    )
    return np.asarray(cropped), {"images": transforms.normalize(cropped)[None]}


def _predict(
    apply: Apply,
    item: Item,
    folder: pathlib.Path | None,
    *,
    crop,
    names: Sequence[str],
    sigmoid: bool,
    top: int,
) -> Record:
    pixels, batch = crop(item.data)
    logits = np.asarray(apply(batch)[0], np.float64)
    scores = scipy.special.expit(logits) if sigmoid else scipy.special.softmax(logits)
    best = np.argsort(-scores, kind="stable")[:top]
    record: Record = {
        "input": item.name,
        "top": [
            {"class": int(i), "label": names[i], "probability": float(scores[i])}
            for i in best
        ],
    }
    if folder is not None:
        path = folder / f"{item.stem}.png"
        attention_pictures.save(_draw(pixels, record), path)
        record["picture"] = str(path)
    return record


def _draw(pixels: np.ndarray, record: Record) -> Figure:
    """The picture beside a bar for each of its likely classes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.imshow(pixels)
    left.set_axis_off()
    shares = [100 * answer["probability"] for answer in record["top"]]
    bars = right.barh([answer["label"] for answer in record["top"]], shares)
    right.bar_label(bars, fmt="%.1f%%", padding=3)
    right.invert_yaxis()
    right.set(xlim=(0, 115), xticks=[], xlabel="Probability")
    right.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def _attend(look: Apply, item: Item, folder: pathlib.Path, *, crop, model) -> list[str]:
    pixels, batch = crop(item.data)
    maps = {name: np.asarray(weights)[0] for name, weights in look(batch).items()}
    encoder = attention_pictures.image_grid(
        model, maps[attention_pictures.ENCODER].mean(0), pixels.shape[:2]
    )
    decoder = None
    shown = [encoder.mean(0)]
    titles = ["mean of all latents"]
    if attention_pictures.DECODER in maps:
        decoder = maps[attention_pictures.DECODER].mean(0)  # [O, N]
        shown.append(np.einsum("n,nhw->hw", decoder[0], encoder))
        titles.append("through the\noutput query")
    latents = attention_pictures.choose_latents(encoder[None], NUM_LATENTS)
    figure = attention_pictures.draw_cells(
        pixels,
        np.stack([*shown, *encoder[latents]]),
        [*titles, *(f"latent {n}" for n in latents)],
    )
    arrays, picture = (folder / f"{item.stem}_attention{s}" for s in (".npz", ".png"))
    if decoder is None:
        np.savez_compressed(arrays, encoder=encoder)
    else:
        np.savez_compressed(arrays, encoder=encoder, decoder=decoder)
    attention_pictures.save(figure, picture)
    return [str(arrays), str(picture)]


def _describe(record: Record) -> str:
    lines = [record["input"]]
    for answer in record["top"]:
        lines.append(f"  {answer['probability']:6.1%}  {answer['label']}")
    return "\n".join(lines)
