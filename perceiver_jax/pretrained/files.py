"""Files of weights and what lies beside them, read without trusting them."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from perceiver_jax.pretrained import pickles
from perceiver_jax.pretrained.rules import Tree

SAFETENSORS = "model.safetensors"  # the name that transformers gives it


def read_deepmind(path: pathlib.Path) -> dict[str, Tree]:
    """Reads a released file: a pickle, or an .npz of the same arrays.

    Args:
      path: a pickle of {"params": ..., "state": ...} or of the parameters alone; or an
        .npz with arrays params/MODULE|NAME and state/MODULE|NAME.

    Returns:
      {"params": {module: {name: array}}, "state": ...}.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is damaged, or holds anything but arrays in such trees.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    found = _read_npz(path) if path.suffix == ".npz" else pickles.read(path)
    if not (found.keys() & {"params", "state"}):
        found = {"params": found}
    trees = {
        kind: _check_tree(path, found.pop(kind, {})) for kind in ("params", "state")
    }
    if found:
        raise ValueError(f"{path} holds {', '.join(found)} beside params and state.")
    if not trees["params"]:
        raise ValueError(f"{path} holds no parameters.")
    return trees


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a .safetensors file, in float32 where it holds floats.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from error
    return {name: _as_float32(array) for name, array in arrays.items()}


def find_safetensors(folder: pathlib.Path) -> pathlib.Path:
    """Returns the file of weights in a folder that transformers saved.

    Raises:
      FileNotFoundError: the weights are in another format, in several files, or not
        there.
    """
    path = folder / SAFETENSORS
    if path.is_file():
        return path
    for other, what in (
        (f"{SAFETENSORS}.index.json", "its weights in several files"),
        ("pytorch_model.bin", "its weights in a pickle, which is not read here"),
        ("pytorch_model.bin.index.json", "its weights in pickles"),
    ):
        if (folder / other).exists():
            raise FileNotFoundError(
                f"{folder} has {what} ({other}): load it with transformers and save it "
                "anew, with model.save_pretrained(FOLDER, max_shard_size='50GB')."
            )
    raise FileNotFoundError(f"There is no file {path}: download it too.")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON file of one object.

    Raises:
      ValueError: it is damaged or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise ValueError(
            f"{path} is damaged or truncated ({error}): download it again."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} holds a {type(found).__name__} where an object {{...}} belongs: "
            "download it again."
        )
    return found


def check_finite(arrays: Mapping[str, np.ndarray], path: pathlib.Path) -> None:
    """Raises ValueError naming the arrays that hold a NaN or an infinity."""
    wrong = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if wrong:
        listed = "\n".join(f"  {name}" for name in sorted(wrong))
        raise ValueError(f"{path}: {len(wrong)} arrays hold NaN or infinity:\n{listed}")


def sha256(path: pathlib.Path) -> str:
    """Returns a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_npz(path: pathlib.Path) -> dict[str, Any]:
    found: dict[str, Any] = {"params": {}, "state": {}}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name, array in arrays.items():
                kind, _, rest = name.partition("/")
                module, _, leaf = rest.rpartition("|")
                if kind in found and module:
                    found[kind].setdefault(module, {})[leaf] = array
                elif kind not in ("input", "output"):  # an example beside the weights
                    raise ValueError(f"array {name} is not named KIND/MODULE|NAME")
    except Exception as error:  # zipfile's, zlib's and numpy's
        raise ValueError(f"{path} is not such an .npz: {error}") from error
    return found


def _check_tree(path: pathlib.Path, tree: Any) -> Tree:
    """{module: {name: array}} and nothing else, with records made arrays."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"{path} holds a {type(tree).__name__} where modules belong.")
    checked: dict[str, dict[str, np.ndarray]] = {}
    for module, arrays in tree.items():
        if not isinstance(arrays, Mapping):
            raise ValueError(f"{path}: '{module}' is no mapping of names to arrays.")
        for name, array in arrays.items():
            if isinstance(array, pickles.Array):
                try:
                    array = array.make()
                except ValueError as error:
                    raise ValueError(f"{path}: {module}/{name}: {error}") from error
            if not isinstance(array, np.ndarray):
                kind = type(array).__name__
                raise ValueError(f"{path}: {module}/{name} is a {kind}, no array.")
            checked.setdefault(str(module), {})[str(name)] = _as_float32(array)
    return checked


def _as_float32(array: np.ndarray) -> np.ndarray:
    """Floats of any width as float32, in a copy of our own; others as they are."""
    floats = array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16
    return np.array(array, np.float32 if floats else array.dtype)
