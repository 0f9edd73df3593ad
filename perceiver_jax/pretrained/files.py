"""Files of weights, read without trusting them.

A pickle is a program. The one here may build plain containers, Haiku's mapping and
arrays, and nothing else: whatever else it names is refused before it is made. Even
those are made as inert records of ours, so that no code of numpy, Haiku or JAX runs on
what a file says before it was checked.
"""

import collections
import hashlib
import pathlib
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from perceiver_jax.pretrained.rules import Tree


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
    found = _read_npz(path) if path.suffix == ".npz" else _read_pickle(path)
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


def _read_pickle(path: pathlib.Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = _Unpickler(file).load()
    except _Refused:
        raise
    except Exception as error:  # whatever a damaged file makes an unpickler raise
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} is damaged or truncated: {reason}") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} holds a {type(found).__name__}, not parameters.")
    return dict(found)


def _check_tree(path: pathlib.Path, tree: Any) -> Tree:
    """{module: {name: array}} and nothing else, with records made arrays."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"{path} holds a {type(tree).__name__} where modules belong.")
    checked: dict[str, dict[str, np.ndarray]] = {}
    for module, arrays in tree.items():
        if not isinstance(arrays, Mapping):
            raise ValueError(f"{path}: '{module}' is no mapping of names to arrays.")
        for name, array in arrays.items():
            if isinstance(array, _Array):
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


class _Refused(ValueError, pickle.UnpicklingError):
    """A pickle asks for what it may not have."""


class _Record:
    """Made by a pickle in place of an object of a library."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _Refused(f"Refused: a pickle that changes a {type(self).__name__}.")


class _Dtype(_Record):
    """np.dtype: a kind and size, such as f4, and then a byte order."""

    __slots__ = ("name", "order")

    def __init__(self, name: Any, *_: Any):
        name = name.lstrip("<>=|") if isinstance(name, str) else ""
        if not re.fullmatch(r"[fiu][1248]|b1|bfloat16", name):
            raise _Refused(f"Refused: a pickle with an array of type {name!r}.")
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = ">" if order == ">" else "<"

    def make(self) -> np.dtype:
        if self.name == "bfloat16":
            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(self.name).newbyteorder(self.order)


class _Array(_Record):
    """np.ndarray: its state is (version, shape, dtype, column order, bytes)."""

    __slots__ = ("state",)

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def make(self) -> np.ndarray:
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise ValueError("an array without its data")
        _, shape, dtype, column_order, data = self.state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise ValueError("an array of objects")
        flat = np.frombuffer(data, dtype.make())
        return flat.reshape(shape, order="F" if column_order else "C")


class _Call(_Record):
    """A function of ours that a pickle may call, and not change."""

    __slots__ = ("function",)

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


class _Type(_Record):
    """A name that pickles of arrays mention and only pass on."""

    __slots__ = ()

    def __call__(self, *_: Any) -> NoReturn:
        raise _Refused("Refused: a pickle that calls the type of an array.")


def _mapping(*args: Any) -> dict:
    found: Any = args[0] if len(args) == 1 else None
    if not isinstance(found, Mapping):
        raise _Refused("Refused: a mapping that is made of something else.")
    return dict(found)


def _scalar(dtype: Any, data: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, (), dtype, False, data))
    return array


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _jax_array(make: Any, args: Any, state: Any, *_: Any) -> _Array:
    if make is not _Array:
        raise _Refused("Refused: a JAX array that is made of something else.")
    array = _Array()
    array.__setstate__(state)
    return array


def _latin1(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("Refused: a pickle that encodes text.")
    return text.encode("latin1")


# What pickles of arrays name, by (module, name), and what they get.
_HAIKU = "haiku._src.data_structures"
_NUMPY = ("numpy.core", "numpy._core")  # before and since numpy 2
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Type(),
    ("_codecs", "encode"): _Call(_latin1),
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("ml_dtypes", "bfloat16"): "bfloat16",
    ("jaxlib.xla_extension", "bfloat16"): "bfloat16",
    **{(f"{core}.multiarray", "_reconstruct"): _Array for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): _Call(_scalar) for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): _Call(_frombuffer) for core in _NUMPY},
    **{
        (_HAIKU, name): _Call(_mapping)
        for name in ("FlatMapping", "FlatMap", "frozendict")
    },
    ("jax._src.array", "_reconstruct_array"): _Call(_jax_array),
    ("jax._src.device_array", "reconstruct_device_array"): _Call(_jax_array),
    ("jax.interpreters.xla", "_reconstruct_device_array"): _Call(_jax_array),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _Refused(
                f"Refused: the pickle asks for {module}.{name}. A file of weights has "
                "only dictionaries and arrays; nothing of it was run."
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused(f"Refused: the pickle refers to something outside, {pid!r}.")
