"""Text with [MASK] filled in: each [MASK] stands for one token, such as a byte."""

import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.special
from ml_collections import config_dict

from experiments import drawing as attention_pictures
from experiments.masked_lm import model as text_model
from experiments.predicting import Apply, Item, Options, Predictor, Record, text_items
from perceiver_jax.data.text.tokenizer import MASK, NUM_RESERVED, Tokenizer, make, pad

SUFFIXES = (".txt",)
OPTIONS = ("text", "window", "top")
SHORTEST = 64  # tokens that a text is padded to at least; each length compiles once
NUM_LATENTS = 12  # with a row each in the page of attention


def make_predictor(config: config_dict.ConfigDict, options: Options) -> Predictor:
    """Builds the predictor of a config of configs/masked_lm.py."""
    model = config.model
    tokens = make(config.data.tokenizer)
    windows = functools.partial(
        _windows, tokens=tokens, longest=model.max_length, cut=options.window
    )
    return Predictor(
        forward=text_model.make_forward(model),
        example=_batch(np.zeros(model.max_length, np.int32), model.max_length),
        suffixes=SUFFIXES,
        items=functools.partial(_items, texts=options.text),
        predict=functools.partial(
            _predict,
            tokenizer=tokens,
            windows=windows,
            longest=model.max_length,
            top=options.top,
        ),
        attend=functools.partial(
            _attend, tokenizer=tokens, windows=windows, longest=model.max_length
        ),
        describe=_describe,
        vocabulary=tokens.name,
    )


def _items(
    paths: Sequence[pathlib.Path], lines: Sequence[bytes], *, texts: Sequence[str]
) -> Iterator[Item]:
    for item in text_items(paths, lines, texts=texts):
        try:
            item.data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{item.name} is no valid UTF-8: {error.reason} at byte {error.start}."
            ) from error
        yield item


def _windows(
    item: Item, *, tokens: Tokenizer, longest: int, cut: bool
) -> list[np.ndarray]:
    """The text's tokens in parts that the model takes, with a mask or without."""
    found = tokens.encode_masked(item.data)
    if MASK not in found:
        raise ValueError(f"{item.name} has no [MASK] to fill.")
    if len(found) <= longest:
        return [found]
    if not cut:
        unit = "bytes" if tokens.name == "bytes" else "tokens"
        raise ValueError(
            f"{item.name} has {len(found)} {unit}, the model takes {longest}: use "
            "--window to fill it window by window, each without seeing the others."
        )
    return [found[i : i + longest] for i in range(0, len(found), longest)]


def _batch(tokens: np.ndarray, longest: int) -> dict[str, np.ndarray]:
    """One text, padded to a power of two so that few lengths are compiled."""
    length = max(SHORTEST, 1 << (len(tokens) - 1).bit_length())
    padded, mask = pad(tokens, min(length, longest))
    return {"tokens": padded[None], "token_mask": mask[None]}


def _predict(
    apply: Apply,
    item: Item,
    folder: pathlib.Path | None,
    *,
    tokenizer: Tokenizer,
    windows: Callable[[Item], list[np.ndarray]],
    longest: int,
    top: int,
) -> Record:
    filled: list[np.ndarray] = []
    masks: list[Record] = []
    for window in windows(item):
        tokens = window.copy()
        places = np.flatnonzero(tokens == MASK)
        if len(places):
            logits = np.asarray(apply(_batch(tokens, longest))[0], np.float64)
            shares = scipy.special.softmax(logits[places], axis=-1)
            shares[:, :NUM_RESERVED] = 0.0  # an answer is text
            ranked = np.argsort(-shares, axis=-1, kind="stable")[:, :top]
            tokens[places] = ranked[:, 0]
            start = sum(len(part) for part in filled)
            masks += [
                {
                    "position": int(start + place),
                    "top": [
                        {
                            "token": int(token),
                            "text": tokenizer.show(int(token)),
                            "probability": float(row[token]),
                        }
                        for token in best
                    ],
                }
                for place, row, best in zip(places, shares, ranked)
            ]
        filled.append(tokens)
    answer = tokenizer.decode(np.concatenate(filled)).decode(errors="replace")
    record: Record = {"input": item.name, "text": answer, "masks": masks}
    if folder is not None:
        path = folder / f"{item.stem}.txt"
        path.write_text(answer, encoding="utf-8")
        record["file"] = str(path)
    return record


def _attend(
    look: Apply,
    item: Item,
    folder: pathlib.Path,
    *,
    tokenizer: Tokenizer,
    windows: Callable[[Item], list[np.ndarray]],
    longest: int,
) -> list[str]:
    """Attention in the first window that has a mask."""
    tokens = next(w for w in windows(item) if MASK in w)
    maps = look(_batch(tokens, longest))
    count = len(tokens)
    encoder = np.asarray(maps[attention_pictures.ENCODER])[0][..., :count]
    decoder = np.asarray(maps[attention_pictures.DECODER])[0][:, :count]
    mean = encoder.mean(0)  # [N, M]
    through = decoder.mean(0) @ mean  # of each output: [M, M]
    rows = [
        (f"Token {place} is filled looking at, through the latents", through[place])
        for place in np.flatnonzero(tokens == MASK)
    ]
    latents = attention_pictures.choose_latents(mean[None], NUM_LATENTS)
    rows += [(f"Latent {number} looks at", mean[number]) for number in latents]
    characters = [tokenizer.show(int(token)) for token in tokens]
    arrays, page = (folder / f"{item.stem}_attention{s}" for s in (".npz", ".html"))
    np.savez_compressed(arrays, encoder=encoder, decoder=decoder)
    attention_pictures.write_text_html(page, characters, rows)
    return [str(arrays), str(page)]


def _describe(record: Record) -> str:
    shown = (c if c.isprintable() else repr(c)[1:-1] for c in record["text"])
    lines = [f"{record['input']}: {''.join(shown)}"]
    for mask in record["masks"]:
        answers = (f"{a['text']} {a['probability']:.1%}" for a in mask["top"])
        lines.append(f"  token {mask['position']}: {', '.join(answers)}")
    return "\n".join(lines)
