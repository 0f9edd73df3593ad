"""Text with [MASK] filled in: each [MASK] stands for one token, such as a byte."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.special

from experiments import drawing, predicting
from experiments.masked_lm.data import make_tokenizer
from experiments.masked_lm.outputs import visible
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.data.text import tokenizer
from perceiver_jax.data.text.tokenizer import MASK, NUM_RESERVED
from perceiver_jax.engine.checkpoints import description

SHORTEST = 64  # tokens that a text is padded to at least; each length compiles once
NUM_LATENTS = 12  # with a row each in the page of attention


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Fills the gaps of texts."""

    text: tuple[str, ...] = predicting.flag((), "A text; may be repeated.")
    window: bool = predicting.flag(False, "Cut texts that are too long in windows.")
    top: int = predicting.flag(5, "Answers to tell.", at_least=1)
    suffixes = (".txt",)

    def __post_init__(self):
        about = {"vocabulary": self.identity.vocabulary}
        description.check_vocabulary(about, self.tokens.name, "The model")

    @functools.cached_property
    def tokens(self) -> tokenizer.Tokenizer:
        """The tokenizer, that of the config."""
        return make_tokenizer(self.config)

    @property
    def unit(self) -> str:
        """What a [MASK] stands for."""
        return "byte" if self.tokens.name == tokenizer.Bytes.name else "token"

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.text_items(paths, lines, self.text)

    def _windows(self, item: Item) -> list[np.ndarray]:
        """The text's tokens in parts that the model takes, with a mask or without."""
        text, longest = predicting.read_text(item), self.config.model.max_length
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{item.name} is no valid UTF-8: {error.reason} at byte {error.start}."
            ) from error
        found = self.tokens.encode_masked(text)
        if MASK not in found:
            raise ValueError(f"{item.name} has no [MASK] to fill.")
        if len(found) > longest and not self.window:
            raise ValueError(
                f"{item.name} has {len(found)} {self.unit}s, the model takes {longest}:"
                " use --window to fill it window by window, each without seeing the "
                "others."
            )
        return [found[i : i + longest] for i in range(0, len(found), longest)]

    def _batch(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
        """One text, padded to a power of two so that few lengths are compiled."""
        length = max(SHORTEST, 1 << (len(tokens) - 1).bit_length())
        longest = self.config.model.max_length
        padded, mask = tokenizer.pad(tokens, min(length, longest))
        return {"tokens": padded[None], "token_mask": mask[None]}

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; the file is the text, filled."""
        windows = self._windows(item)
        masks: list[Record] = []
        start = 0
        for tokens in windows:
            places = np.flatnonzero(tokens == MASK)
            answers = self._fill(apply, tokens, places)
            tokens[places] = [answer[0]["token"] for answer in answers]
            masks += [
                {"position": int(start + place), "top": answer}
                for place, answer in zip(places, answers)
            ]
            start += len(tokens)
        text = self.tokens.decode(np.concatenate(windows)).decode(errors="replace")
        record: Record = {"input": item.name, "text": text, "masks": masks}
        if folder is not None:
            path = folder.file(f"{item.stem}.txt")
            path.write_text(text, encoding="utf-8")
            record["file"] = str(path)
        return record

    def _fill(
        self, apply: Apply, tokens: np.ndarray, places: np.ndarray
    ) -> list[list[Record]]:
        """Returns the most probable tokens for each place of a window, best first."""
        if not len(places):
            return []
        logits = np.asarray(apply(self._batch(tokens))[0], np.float64)
        shares = scipy.special.softmax(logits[places], axis=-1)
        shares[:, :NUM_RESERVED] = 0.0  # an answer is text
        ranked = np.argsort(-shares, axis=-1, kind="stable")[:, : self.top]
        return [
            [
                {
                    "token": int(token),
                    "text": self.tokens.show(int(token)),
                    "probability": float(row[token]),
                }
                for token in best
            ]
            for row, best in zip(shares, ranked)
        ]

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; in the first window that has a mask."""
        tokens = next(window for window in self._windows(item) if MASK in window)
        maps = look(self._batch(tokens))
        if drawing.ENCODER not in maps:
            raise ValueError("--attention needs a model with latents.")
        count = len(tokens)
        encoder = np.asarray(maps[drawing.ENCODER])[0][..., :count]
        decoder = np.asarray(maps[drawing.DECODER])[0][:, :count]
        mean = encoder.mean(0)  # [N, M]
        through = decoder.mean(0) @ mean  # of each output: [M, M]
        unit = self.unit.capitalize()
        rows = [
            (
                f"{unit} {place} is filled looking at, through the latents",
                through[place],
            )
            for place in np.flatnonzero(tokens == MASK)
        ]
        latents = drawing.choose_latents(mean[None], NUM_LATENTS)
        rows += [(f"Latent {number} looks at", mean[number]) for number in latents]
        characters = [self.tokens.show(int(token)) for token in tokens]
        return drawing.save_text_attention(
            folder, item.stem, encoder, decoder, characters, rows
        )

    def describe(self, record: Record) -> str:
        """See the base class."""
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in record["text"])
        lines = [f"{record['input']}: {text}"]
        for mask in record["masks"]:
            answers = (
                f"{visible(a['text'])} {a['probability']:.1%}" for a in mask["top"]
            )
            lines.append(f"  {self.unit} {mask['position']}: {', '.join(answers)}")
        return "\n".join(lines)
