"""Texts, or pairs of texts, to classes and scores."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import scipy.special

from experiments import drawing, predicting
from experiments.glue.data import Encode, make_encode
from experiments.glue.fields import classes_of
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.engine.checkpoints import description

SEPARATOR = b"\t"  # between the texts of a pair


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Tells the classes and scores of texts, of all tasks."""

    text: tuple[str, ...] = predicting.flag((), "A text; may be repeated.")
    top: int = predicting.flag(5, "Answers to tell.", at_least=1)
    suffixes = (".txt",)

    def __post_init__(self):
        about = {"vocabulary": self.identity.vocabulary}
        description.check_vocabulary(about, self.encode.tokens.name, "The model")

    @functools.cached_property
    def encode(self) -> Encode:
        """What makes arrays of texts."""
        return make_encode(self.config)

    @functools.cached_property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """Of every task: the checkpoint's, else numbers; none for a score."""
        return {
            task: self.identity.class_names.get(task)
            or [f"class {number}" for number in range(count)]
            for task, count in classes_of(self.config.data).items()
        }

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.text_items(paths, lines, self.text)

    def _batch(self, item: Item) -> dict[str, np.ndarray]:
        """A row for each task."""
        texts = tuple(predicting.read_text(item).split(SEPARATOR))
        if len(texts) > 2:
            raise ValueError(
                f"{item.name} has {len(texts)} texts between tabs, not 1 or 2."
            )
        rows = [
            self.encode({"texts": texts, "label": None, "index": 0, "task": number})
            for number in range(len(self.class_names))
        ]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; no file, as the record holds all."""
        outputs = apply(self._batch(item))
        answers: Record = {}
        for row, (task, classes) in enumerate(self.class_names.items()):
            logits = np.asarray(outputs[task][row], np.float64)
            if not classes:
                answers[task] = {"score": float(logits[0])}
                continue
            shares = scipy.special.softmax(logits)
            ranked = np.argsort(-shares, kind="stable")[: self.top]
            answers[task] = {
                "top": [
                    {"class": classes[i], "probability": float(shares[i])}
                    for i in ranked
                ]
            }
        return {"input": item.name, "tasks": answers}

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; what each task looks at."""
        batch = self._batch(item)
        maps = look(batch)
        if drawing.ENCODER not in maps:
            raise ValueError("--attention needs a model with latents.")
        count = int(batch["token_mask"][0].sum())
        encoder = np.asarray(maps[drawing.ENCODER])[..., :count]
        decoder = np.asarray(maps[drawing.DECODER])
        through = np.einsum("thn,tknm->tm", decoder[:, :, 0], encoder)
        rows = [
            (f"What '{task}' looks at, through the latents", weights)
            for task, weights in zip(self.class_names, through)
        ]
        show = self.encode.tokens.show
        characters = [show(int(token)) for token in batch["tokens"][0][:count]]
        return drawing.save_text_attention(
            folder, item.stem, encoder, decoder, characters, rows
        )

    def describe(self, record: Record) -> str:
        """See the base class."""
        lines = [f"{record['input']}:"]
        for task, answer in record["tasks"].items():
            if "score" in answer:
                lines.append(f"  {task}: {answer['score']:.3f}")
            else:
                best = (f"{a['class']} {a['probability']:.1%}" for a in answer["top"])
                lines.append(f"  {task}: {', '.join(best)}")
        return "\n".join(lines)
