"""How a process ends that was asked to stop, and what its launcher is told."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

# BSD's EX_TEMPFAIL: "try again". Kubernetes and SLURM take 0 for finished.
UNFINISHED = 75

ASKING = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """The run was asked to stop before it was finished; it can be started again."""


def end_when_asked() -> None:
    """From now on SIGTERM and Ctrl-C end the process as unfinished, at once."""
    for number in ASKING:
        signal.signal(number, lambda *_: end_at_once(UNFINISHED))


@contextlib.contextmanager
def noted() -> Iterator[int]:
    """Turns SIGTERM and Ctrl-C into bytes of a pipe, whose reading end it yields.

    Python's own handlers wait while a compilation or a hanging library keeps the main
    thread; a thread that reads the pipe knows at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handlers = {number: signal.signal(number, _ignore) for number in ASKING}
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _ignore(number, frame) -> None:
    """Keeps Python from its default: to end, or to raise KeyboardInterrupt."""


def end_at_once(status: int) -> NoReturn:
    """Ends the process from any thread, without waiting for others or for libraries."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
