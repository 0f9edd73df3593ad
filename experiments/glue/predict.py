"""Texts, or pairs of texts, to classes and scores."""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.special
from ml_collections import config_dict

from experiments import drawing as attention_pictures
from experiments.glue import task as glue
from experiments.predicting import Apply, Item, Options, Predictor, Record, text_items
from perceiver_jax.data.text.tokenizer import make

SUFFIXES = (".txt",)
OPTIONS = ("text", "top", "class_names")
SEPARATOR = b"\t"  # between the texts of a pair

Encode = Callable[[Item], dict[str, np.ndarray]]


def make_predictor(config: config_dict.ConfigDict, options: Options) -> Predictor:
    """Builds the predictor of a config of configs/glue.py or text_classification.py."""
    names = options.class_names
    tokens = make(config.data.tokenizer)
    encode = functools.partial(
        _encode, encode=glue.make_encode(config), num_tasks=len(names)
    )
    return Predictor(
        forward=glue.make_forward(
            config.model, {task: len(classes) or 1 for task, classes in names.items()}
        ),
        example=encode(Item("", "", b"")),
        suffixes=SUFFIXES,
        items=functools.partial(text_items, texts=options.text),
        predict=functools.partial(
            _predict, encode=encode, names=names, top=options.top
        ),
        attend=functools.partial(
            _attend, encode=encode, names=tuple(names), show=tokens.show
        ),
        describe=_describe,
        vocabulary=tokens.name,
    )


def _encode(
    item: Item, *, encode: Callable[..., dict[str, np.ndarray]], num_tasks: int
) -> dict[str, np.ndarray]:
    """A row for each task."""
    texts = tuple(item.data.split(SEPARATOR))
    if len(texts) > 2:
        raise ValueError(
            f"{item.name} has {len(texts)} texts between tabs, not 1 or 2."
        )
    rows = [
        encode({"texts": texts, "label": None, "index": 0, "task": task})
        for task in range(num_tasks)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _predict(
    apply: Apply,
    item: Item,
    folder: pathlib.Path | None,
    *,
    encode: Encode,
    names: Mapping[str, Sequence[str]],
    top: int,
) -> Record:
    del folder  # the record holds all
    outputs = apply(encode(item))
    answers: Record = {}
    for row, (task, classes) in enumerate(names.items()):
        logits = np.asarray(outputs[task][row], np.float64)
        if not classes:
            answers[task] = {"score": float(logits[0])}
            continue
        shares = scipy.special.softmax(logits)
        ranked = np.argsort(-shares, kind="stable")[:top]
        answers[task] = {
            "top": [
                {"class": classes[i], "probability": float(shares[i])} for i in ranked
            ]
        }
    return {"input": item.name, "tasks": answers}


def _attend(
    look: Apply,
    item: Item,
    folder: pathlib.Path,
    *,
    encode: Encode,
    names: Sequence[str],
    show: Callable[[int], str],
) -> list[str]:
    batch = encode(item)
    maps = look(batch)
    if attention_pictures.ENCODER not in maps:
        raise ValueError("--attention needs a model with latents.")
    count = int(batch["token_mask"][0].sum())
    encoder = np.asarray(maps[attention_pictures.ENCODER])[..., :count]
    decoder = np.asarray(maps[attention_pictures.DECODER])
    through = np.einsum("thn,tknm->tm", decoder[:, :, 0], encoder)
    rows = [
        (f"What '{task}' looks at, through the latents", weights)
        for task, weights in zip(names, through)
    ]
    arrays, page = (folder / f"{item.stem}_attention{s}" for s in (".npz", ".html"))
    np.savez_compressed(arrays, encoder=encoder, decoder=decoder)
    characters = [show(int(token)) for token in batch["tokens"][0][:count]]
    attention_pictures.write_text_html(page, characters, rows)
    return [str(arrays), str(page)]


def _describe(record: Record) -> str:
    lines = [f"{record['input']}:"]
    for task, answer in record["tasks"].items():
        if "score" in answer:
            lines.append(f"  {task}: {answer['score']:.3f}")
        else:
            best = (f"{a['class']} {a['probability']:.1%}" for a in answer["top"])
            lines.append(f"  {task}: {', '.join(best)}")
    return "\n".join(lines)
