"""Damaged checkpoints are told once, in one line, and the same on all processes."""

import contextlib
import errno
import gc
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

_REASON_BYTES = 256  # of what a process tells the others
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Read = TypeVar("Read")


class DamagedError(ValueError):
    """A checkpoint's files are not what was saved."""


def agreed(what: str, read: Callable[[], Read]) -> Read:
    """Returns what `read` does.

    Args:
      what: is read, for the message.
      read: waits for no other process.

    Raises:
      DamagedError: it failed; on all processes, where it did on one.
    """
    with _quiet():
        found, problem = _tried(what, read)
        if problem:
            gc.collect()
            time.sleep(0.2)  # until the other arrays of a tree are done
    agree(problem)
    return found  # type: ignore[return-value]  # there is no problem


def _tried(what: str, read: Callable[[], Read]) -> tuple[Read | None, str]:
    try:
        return read(), ""
    except (MemoryError, jax.errors.JaxRuntimeError):
        raise  # of this machine, not of the checkpoint
    except DamagedError as error:
        return None, f"{what} {error}"
    except Exception as error:
        return None, f"{what} can't be read ({reason(error)})"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the error of one array from being followed by traces of the others.

    Orbax ends its event loop at the first of them. For the others TensorStore then
    prints that the loop is closed, asyncio that nobody took their errors, and Python
    what their coroutines raise or that they never ran.
    """
    hook, log = sys.unraisablehook, logging.getLogger("asyncio")
    level = log.level
    sys.unraisablehook = lambda unraisable: None
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = hook
        log.setLevel(level)


def agree(problem: str) -> None:
    """Raises DamagedError with the first process's problem, on all of them."""
    told = first_problem(problem)
    if told:
        raise DamagedError(told)


def first_problem(problem: str) -> str:
    """Returns, on all processes, the problem of the first that has one; "" for none."""
    if jax.process_count() == 1:
        return problem
    text = problem.encode()[:_REASON_BYTES].ljust(_REASON_BYTES)
    texts = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
    told = (bytes(row).decode(errors="replace").strip() for row in texts)
    return next(filter(None, told), "")


def reason(error: BaseException) -> str:
    """Returns what an error says, in a line of moderate length."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f" ({error.filename})" if error.filename else "")
    for number in _FULL:  # TensorStore says it in the middle of a long line
        if os.strerror(number) in str(error):
            return os.strerror(number)
    lines = str(error).splitlines() or [repr(error)]
    return lines[0].partition(" [tensorstore_spec=")[0][:200].rstrip(".")


class _OrbaxErrors(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether to show a record."""
        return "/orbax/" not in record.pathname or record.levelno < logging.ERROR


_ORBAX_ERRORS = _OrbaxErrors()


def hush_orbax() -> None:
    """Leaves out the traces that Orbax logs, from threads of its own.

    The errors themselves are raised, and told by those who catch them.
    """
    logging.getLogger("absl").addFilter(_ORBAX_ERRORS)
