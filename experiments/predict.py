"""Runs a trained or converted model on your own files.

    python -m experiments.predict --workdir=DIR photo.jpg more_photos/
    python -m experiments.predict --workdir=DIR --text="The [MASK][MASK][MASK] barks."
    python -m experiments.predict --workdir=DIR --output=FLOW first.png second.png

Arguments are files and folders; "-" reads the standard input, a text or the path of a
file a line. --output takes pictures and files, --attention adds where the model looks,
--json prints one record a line. The config's fields can be overridden, as in
--config.precision=params=float32,compute=bfloat16,output=float32.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence

import jax
import matplotlib
from absl import app, flags

from experiments import build, restore
from experiments import predicting as predictors
from perceiver_jax.data.sources import files_below
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.model import inspection

_OUTPUT = flags.DEFINE_string("output", None, "Folder for pictures and other files.")
_ATTENTION = flags.DEFINE_bool("attention", False, "Write attention maps to --output.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line.")
_LABELS = flags.DEFINE_string("labels", None, "File: the name of one class a line.")
_TEXT = flags.DEFINE_multi_string("text", [], "A text; may be repeated.")
_WINDOW = flags.DEFINE_bool("window", False, "Cut texts that are too long in windows.")
_TOP = flags.DEFINE_integer("top", 5, "Answers to tell.", lower_bound=1)


def expand(arguments: Sequence[str], suffixes: Sequence[str]) -> list[pathlib.Path]:
    """Returns files, and of folders the files in them that end so, in order.

    Raises:
      FileNotFoundError: an argument is not there, or a folder has no such file.
    """
    paths = []
    for path in map(pathlib.Path, arguments):
        if path.is_dir():
            inside = files_below(path, suffixes)
            if not inside:
                raise FileNotFoundError(f"{path} holds no {', '.join(suffixes)} file.")
            paths += inside
        elif path.is_file():
            paths.append(path)
        else:
            raise FileNotFoundError(f"There is no file or folder {path}.")
    return paths


def predict(
    restored: restore.Restored,
    arguments: Sequence[str],
    lines: Sequence[bytes],
    options: predictors.Options,
    folder: pathlib.Path | None = None,
    attention: bool = False,
) -> Iterator[tuple[predictors.Record, str]]:
    """Yields a record of every item, and the same in words.

    Args:
      restored: the model.
      arguments: files and folders.
      lines: texts or paths besides.
      options: what only some tasks look at.
      folder: where files are written; None for none.
      attention: whether to write attention maps too.
    """
    options = dataclasses.replace(options, class_names=restored.class_names)
    predictor = build.make_predictor(restored.config, options)
    restored.check_vocabulary(predictor.vocabulary)
    files = expand(arguments, predictor.suffixes)
    policy = parse_policy(restored.config.precision)
    forward = make_forward(predictor.forward, policy)
    looked_at = make_forward(predictor.looked_at or predictor.forward, policy)

    @jax.jit
    def run(variables, batch):
        return forward.apply(*variables, None, batch, False)[0]

    @jax.jit
    def look(variables, batch):
        return inspection.attention_maps(looked_at, variables, batch)

    variables = restored.whole_variables
    stems: set[str] = set()
    for item in predictor.items(files, lines):
        # Of one name in two folders, the files of neither may be replaced.
        numbered = (f"{item.stem}_{n}" for n in itertools.count(2))
        free = (s for s in itertools.chain([item.stem], numbered) if s not in stems)
        item = item._replace(stem=next(free))
        stems.add(item.stem)
        record = predictor.predict(functools.partial(run, variables), item, folder)
        if folder is not None and attention:
            record["attention"] = predictor.attend(
                functools.partial(look, variables), item, folder
            )
        yield record, predictor.describe(record)


def main(restored: restore.Restored, arguments: Sequence[str]) -> None:
    """Prints what is predicted from every argument, in order."""
    if not arguments and not _TEXT.value:
        raise app.UsageError("Nothing to predict from: give files, a folder, or -.")
    if _ATTENTION.value and not _OUTPUT.value:
        raise app.UsageError("--attention writes files: say where with --output=DIR.")
    labels = pathlib.Path(_LABELS.value) if _LABELS.value else None
    texts = tuple(_TEXT.value)
    options = predictors.Options(labels, texts, _WINDOW.value, _TOP.value)
    folder = pathlib.Path(_OUTPUT.value) if _OUTPUT.value else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    lines = sys.stdin.buffer.read().splitlines() if "-" in arguments else []
    matplotlib.use("Agg")
    for record, words in predict(
        restored,
        [argument for argument in arguments if argument != "-"],
        lines,
        options,
        folder,
        _ATTENTION.value,
    ):
        print(json.dumps(record) if _JSON.value else words, flush=True)


if __name__ == "__main__":
    restore.run(main)
