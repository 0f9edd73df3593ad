"""Runs a trained or converted model on your own files.

    python -m experiments.predict --workdir=DIR photo.jpg more_photos/
    python -m experiments.predict --workdir=DIR --text="The [MASK][MASK][MASK] barks."
    python -m experiments.predict --workdir=DIR --output=FLOW first.png second.png

Arguments are files and folders; "-" reads the standard input, a text or the path of a
file a line. --output takes pictures and files, --attention adds where the model looks,
--json prints one record a line. The config's fields can be overridden, as in
--config.precision=params=float32,compute=bfloat16,output=float32. More flags depend on
the model: python -m experiments.predict --workdir=DIR --help.
"""

import functools
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import matplotlib
from absl import app, flags
from ml_collections import config_dict

from experiments import build, predicting, program, restore
from perceiver_jax.data.sources import files_below
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.model import inspection

_OUTPUT = flags.DEFINE_string("output", None, "Folder for pictures and other files.")
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace files of an earlier run in --output."
)
_ATTENTION = flags.DEFINE_bool("attention", False, "Write attention maps to --output.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line.")


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


class Prediction(NamedTuple):
    """What came of one item: a record and the same in words, or an error."""

    record: predicting.Record
    words: str
    error: Exception | None = None


def predict(
    restored: restore.Restored,
    predictor: predicting.Predictor,
    files: Sequence[pathlib.Path],
    lines: Sequence[bytes] = (),
    folder: predicting.Folder | None = None,
    attention: bool = False,
) -> Iterator[Prediction]:
    """Yields what is predicted from every item; one that is bad does not end it.

    Args:
      restored: the model.
      predictor: the task's.
      files: to predict from.
      lines: texts or paths besides.
      folder: where files are written; None for none.
      attention: whether to write attention maps too.

    Raises:
      FileExistsError: a file would be replaced.
    """
    policy = parse_policy(restored.config.precision)
    forward, looked_at = (
        make_forward(build.make_model(config).forward, policy)
        for config in (predictor.config, predictor.config_to_look_at)
    )

    @jax.jit
    def run(variables, batch):
        return forward.apply(*variables, None, batch, False)[0]

    @jax.jit
    def look(variables, batch):
        return inspection.attention_maps(looked_at, *variables, batch)

    apply, attend = (
        functools.partial(compiled, restored.whole_variables)
        for compiled in (run, look)
    )
    for item in _with_own_stems(predictor.items(files, lines)):
        try:
            record = predictor.predict(apply, item, folder)
            if folder is not None and attention:
                record["attention"] = predictor.attend(attend, item, folder)
        except FileExistsError:
            raise
        except (ValueError, OSError) as error:
            yield Prediction({"input": item.name}, "", error)
        else:
            yield Prediction(record, predictor.describe(record))


def _with_own_stems(items: Iterator[predicting.Item]) -> Iterator[predicting.Item]:
    """Numbers stems that come again.

    Files of the same name in different folders must not overwrite each other's outputs.
    """
    stems: set[str] = set()
    for item in items:
        numbered = (f"{item.stem}_{n}" for n in itertools.count(2))
        free = (s for s in itertools.chain([item.stem], numbered) if s not in stems)
        item = item._replace(stem=next(free))
        stems.add(item.stem)
        yield item


def main(restored: restore.Restored, arguments: Sequence[str]) -> None:
    """Prints what is predicted from every argument, in order."""
    kind = build.find(restored.config, "predict").Predictor
    options = predicting.flag_values(kind)
    predictor = build.make_predictor(restored.config, restored.identity, **options)
    if not arguments and not options.get("text"):
        raise app.UsageError("Nothing to predict from: give files, a folder, or -.")
    if (_ATTENTION.value or predictor.needs_folder) and not _OUTPUT.value:
        what = "This model" if predictor.needs_folder else "--attention"
        raise app.UsageError(f"{what} writes files: say where with --output=DIR.")
    names = [argument for argument in arguments if argument != "-"]
    files = expand(names, predictor.suffixes)
    lines = sys.stdin.buffer.read().splitlines() if "-" in arguments else []
    if "-" in arguments and not lines:
        raise ValueError("Nothing to predict from: the standard input is empty.")
    folder = None
    if _OUTPUT.value:
        named = [os.fsdecode(line) for line in lines if os.path.isfile(line)]
        inputs = [*files, *map(pathlib.Path, named)]
        output = pathlib.Path(_OUTPUT.value)
        folder = predicting.Folder(output, _OVERWRITE.value, inputs)
    matplotlib.use("Agg")
    bad = count = 0
    for found in predict(restored, predictor, files, lines, folder, _ATTENTION.value):
        count += 1
        if found.error is not None:
            bad += 1
            name, told = found.record["input"], program.message(found.error)
            told = told if name in told else f"{name}: {told}"
            print(told, file=sys.stderr, flush=True)
        else:
            words = json.dumps(found.record) if _JSON.value else found.words
            print(words, flush=True)
    if bad:
        raise ValueError(f"{bad} of {count} inputs could not be used: see above.")


def define_flags(config: config_dict.ConfigDict) -> None:
    """Defines the flags of the task's own predictor."""
    predicting.define_flags(build.find(config, "predict").Predictor)


if __name__ == "__main__":
    restore.run(main, define_flags, takes_arguments=True)
