"""Pickles of arrays, read without running anything in them.

A pickle is a program. One that is read here may build plain containers, Haiku's mapping
and arrays, and nothing else: whatever else it names is refused before it is made. Even
those are made as inert records of ours, so that no code of numpy, Haiku or JAX runs on
what a file says before it was checked.
"""

import collections
import pathlib
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import ml_dtypes
import numpy as np


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns the mapping that a pickle holds, with an `Array` for each of its arrays.

    Raises:
      ValueError: the file is damaged, holds no mapping, or names anything else.
    """
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


class Array(_Record):
    """np.ndarray: its state is (version, shape, dtype, column order, bytes).

    A mapping that was read may hold some with any state: `make` checks it.
    """

    __slots__ = ("state",)

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def make(self) -> np.ndarray:
        """Returns the array; raises ValueError where the state is none."""
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


def _scalar(dtype: Any, data: Any) -> Array:
    array = Array()
    array.__setstate__((1, (), dtype, False, data))
    return array


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _jax_array(make: Any, args: Any, state: Any, *_: Any) -> Array:
    if make is not Array:
        raise _Refused("Refused: a JAX array that is made of something else.")
    array = Array()
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
    **{(f"{core}.multiarray", "_reconstruct"): Array for core in _NUMPY},
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
