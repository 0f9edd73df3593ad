"""Released weights from a file of DeepMind's or a folder of Hugging Face's.

model, config_json = reading.identify(path, models, "imagenet_fourier")
arrays, about = reading.read(path, model)
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from perceiver_jax.pretrained import files, huggingface, huggingface_config, rules
from perceiver_jax.pretrained.released import Released

DEEPMIND_URL = "https://storage.googleapis.com/perceiver_io/"


def identify(
    source: pathlib.Path, models: Mapping[str, Released], name: str | None = None
) -> tuple[Released, dict[str, Any] | None]:
    """Returns which model a source is of, and its config.json where it has one.

    Args:
      source: a file of weights or a Hugging Face folder.
      models: that are known, by name.
      name: of one of them; a folder says so itself.

    Raises:
      FileNotFoundError: there is nothing, or a folder of something else.
      ValueError: no name, or another one than the folder says; or config.json is
        damaged or of a model that is not known here.
    """
    if not source.exists():
        raise FileNotFoundError(f"There is no file {source}, nor a folder.")
    if not source.is_dir():
        if name is None:
            raise ValueError(
                f"{source} does not say what it is of: say --model=NAME, one of "
                f"{', '.join(models)}."
            )
        return models[name], None
    theirs = _read_config(source)
    try:
        model = huggingface_config.identify(theirs, models.values())
    except ValueError as error:
        raise ValueError(f"{source / 'config.json'} has {error}") from error
    if name not in (None, model.name):
        raise ValueError(f"{source} is of {model.name}, not of --model={name}.")
    return model, theirs


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.json: it is no Hugging Face folder. A workdir of "
            "ours is converted with --to=huggingface."
        )
    return files.read_json(path)


def read(
    source: pathlib.Path, model: Released
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the arrays by our paths, and what is known of where they come from.

    Args:
      source: a file of weights or a Hugging Face folder.
      model: what it is of.

    Raises:
      FileNotFoundError: there is nothing to read.
      ValueError: it is damaged, unsafe, not finite, or of another model.
    """
    if source.is_dir():
        path = files.find_safetensors(source)
        theirs = files.read_safetensors(path)
        about = {
            "format": "Hugging Face",
            "licence": "see the model card of the folder",
        }
        table, convert = model.huggingface.rules, huggingface.from_arrays
    else:
        path = source
        trees = files.read_deepmind(path).values()
        theirs = {name: x for tree in trees for name, x in rules.flatten(tree).items()}
        about = {
            "format": "DeepMind",
            "licence": "CC-BY-4.0, where the file is DeepMind's",
            "url": DEEPMIND_URL + model.file,
        }
        table, convert = model.deepmind, rules.to_ours
    files.check_finite(theirs, path)
    try:
        arrays = convert(theirs, table)
    except ValueError as error:
        hint = "" if source.is_dir() else " Choose another --model."
        raise ValueError(f"{path} is not of {model.name}.{hint} {error}") from error
    about |= {"file": str(path.absolute()), "sha256": files.sha256(path)}
    return arrays, about
