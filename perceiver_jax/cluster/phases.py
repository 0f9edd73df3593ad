"""What a process is doing, and how many seconds of its life went where."""

import contextlib
import time
from collections.abc import Iterator

import psutil

START = "start-up"
COMPILE = "compile"
DATA = "data"
STEP = "step"
EVALUATION = "evaluation"
SAVE = "save"
PHASES = (START, COMPILE, DATA, STEP, EVALUATION, SAVE)


class Clock:
    """The current phase, and the seconds of all phases since the process began."""

    def __init__(self):
        """Counts from the beginning of the process: imports are part of start-up."""
        self.started = psutil.Process().create_time()  # unix seconds
        self.current = START
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._since = time.monotonic() - (time.time() - self.started)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Enters a phase, and goes back to the one before."""
        outer = self.current
        self.switch(name)
        try:
            yield
        finally:
            self.switch(outer)

    def switch(self, name: str) -> None:
        """Goes on to another phase; to the same one, it is a sign of progress."""
        now = time.monotonic()
        self.seconds[self.current] += now - self._since
        self.current, self._since = name, now

    @property
    def waited(self) -> float:
        """Seconds since the last switch."""
        return time.monotonic() - self._since

    def totals(self) -> dict[str, float]:
        """Returns the seconds of each phase, up to now."""
        now = self.seconds[self.current] + self.waited
        return {**self.seconds, self.current: now}
