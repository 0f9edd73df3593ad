"""Images to classes."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy.special
from matplotlib.figure import Figure

from experiments import drawing, predicting
from experiments.imagenet import model as image_model
from experiments.imagenet.task import CLASSES
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.data.image import decoding, transforms

NUM_LATENTS = 10  # with maps in the picture of attention


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Tells the most probable classes of images."""

    labels: str = predicting.flag("", "File: the name of one class a line.")
    top: int = predicting.flag(5, "Answers to tell.", at_least=1)
    suffixes = decoding.SUFFIXES

    def __post_init__(self):
        assert self.class_names, (
            "read early: a wrong file of labels is no image's fault"
        )

    @functools.cached_property
    def class_names(self) -> Sequence[str]:
        """Of the file `labels`, else of the checkpoint, else numbers."""
        count = self.config.data.num_classes
        if not self.labels:
            known = self.identity.class_names.get(CLASSES)
            return known or [f"class {number}" for number in range(count)]
        names = pathlib.Path(self.labels).read_text(encoding="utf-8").splitlines()
        if len(names) != count:
            raise ValueError(
                f"{self.labels} has {len(names)} lines, the model {count} classes: it "
                "must hold the name of one class a line, in the order of the classes."
            )
        return names

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.path_items(paths, lines)

    def _crop(self, path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns the picture that the model sees, and the batch with it."""
        data = self.config.data
        image = decoding.decode(path.read_bytes(), str(path))
        cropped = transforms.center_crop(image, tuple(data.image_size), data.eval_crop)
        return np.asarray(cropped), {"images": transforms.normalize(cropped)[None]}

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; the file is the image beside its likely classes."""
        pixels, batch = self._crop(item.data)
        logits = np.asarray(apply(batch)[0], np.float64)
        is_sigmoid = self.config.data.loss == "sigmoid"
        to_scores = scipy.special.expit if is_sigmoid else scipy.special.softmax
        scores = to_scores(logits)
        best = np.argsort(-scores, kind="stable")[: self.top]
        names = self.class_names
        record: Record = {
            "input": item.name,
            "top": [
                {"class": int(i), "label": names[i], "probability": float(scores[i])}
                for i in best
            ],
        }
        if folder is not None:
            path = folder.file(f"{item.stem}.png")
            drawing.save(_draw(pixels, record), path)
            record["picture"] = str(path)
        return record

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class."""
        pixels, batch = self._crop(item.data)
        maps = {name: np.asarray(found)[0] for name, found in look(batch).items()}
        encoder = image_model.lay_out(
            self.config.model, maps[drawing.ENCODER].mean(0), pixels.shape[:2]
        )
        arrays: dict[str, Any] = {"encoder": encoder}
        shown, titles = [encoder.mean(0)], ["mean of all latents"]
        if drawing.DECODER in maps:
            decoder = maps[drawing.DECODER].mean(0)  # [O, N]
            arrays["decoder"] = decoder
            shown.append(np.einsum("n,nhw->hw", decoder[0], encoder))
            titles.append("through the\noutput query")
        latents = drawing.choose_latents(encoder[None], NUM_LATENTS)
        figure = drawing.draw_cells(
            pixels,
            np.stack([*shown, *encoder[latents]]),
            [*titles, *(f"latent {n}" for n in latents)],
        )
        paths = [
            folder.file(f"{item.stem}_attention{suffix}") for suffix in (".npz", ".png")
        ]
        np.savez_compressed(paths[0], **arrays)
        drawing.save(figure, paths[1])
        return [str(path) for path in paths]

    def describe(self, record: Record) -> str:
        """See the base class."""
        lines = [record["input"]]
        for answer in record["top"]:
            lines.append(f"  {answer['probability']:6.1%}  {answer['label']}")
        return "\n".join(lines)


def _draw(pixels: np.ndarray, record: Record) -> Figure:
    """The picture beside a bar for each of its likely classes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.imshow(pixels)
    left.set_axis_off()
    shares = [100 * answer["probability"] for answer in record["top"]]
    bars = right.barh(range(len(shares)), shares)
    right.set_yticks(range(len(shares)), [answer["label"] for answer in record["top"]])
    right.bar_label(bars, fmt="%.1f%%", padding=3)
    right.invert_yaxis()
    right.set(xlim=(0, 115), xticks=[], xlabel="Probability")
    right.spines[["top", "right", "bottom"]].set_visible(False)
    return figure
