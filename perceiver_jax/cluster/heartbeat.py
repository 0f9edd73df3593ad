"""Signs of life: WORKDIR/processes/INDEX.json says what each process of a run does.

The file of process 0 is the lock of the workdir and the status of the run, too. Files
in the workdir are what all processes see already, whatever network they have, and what
is left to read of a process that was killed.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import time
from typing import NamedTuple

import psutil

EVERY = 1.0  # seconds between two beats: a bucket takes one write a second
# A lock that a process of another host left: beats missed before it counts as dead.
MISSED = 6

_SIZE = 2048  # bytes of a file, always the same: it is written in place
_LONGEST = 500  # characters of a message


class Beat(NamedTuple):
    """What a process says of itself."""

    run: int  # the same for all processes that were started together
    host: str
    pid: int
    started: float  # unix seconds
    beat: int = 0  # one more each time
    time: float = 0.0  # unix seconds, by its own clock
    phase: str = ""
    step: int = 0
    total_steps: int = 0
    asked: str = ""  # the signal that asked it to stop
    ended: str = ""  # "finished", "stopped", "failed"
    message: str = ""  # why it ended

    def __str__(self) -> str:
        """Where it is, and what it does."""
        doing = f"phase '{self.phase}' of step {self.step}"
        return f"process {self.pid} on {self.host}, in {doing}"


def this_process(run: int) -> Beat:
    """Returns what is always true of this process."""
    started = psutil.Process().create_time()
    return Beat(run, socket.gethostname(), os.getpid(), started)


class Pulse:
    """Writes the beats of one process."""

    def __init__(self, workdir: pathlib.Path, index: int):
        """Creates its file, in place of that of an earlier run."""
        self.path = _folder(workdir) / f"{index}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, beat: Beat) -> None:
        """Writes a beat in place: that works on a full disk, too."""
        fields = beat._replace(message=beat.message[:_LONGEST])._asdict()
        os.pwrite(self._file, json.dumps(fields).encode().ljust(_SIZE - 1) + b"\n", 0)

    def close(self) -> None:
        """Lets go of the file, which stays."""
        os.close(self._file)


def read(workdir: str | pathlib.Path) -> dict[int, Beat]:
    """Returns the last beat of each process of a workdir's newest run."""
    found = {}
    for path in _folder(workdir).glob("*.json"):
        beat = _parse(path)
        if beat is not None:
            found[int(path.stem)] = beat
    return dict(sorted(found.items()))


def is_alive(beat: Beat) -> bool | None:
    """Whether a process lives; None where it can't be known, as it is elsewhere."""
    if beat.ended:
        return False
    if beat.host != socket.gethostname():
        return None
    try:
        process = psutil.Process(beat.pid)
        # Another process may have got the number since.
        is_it = abs(process.create_time() - beat.started) < 2
        return is_it and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Claim:
    """A workdir that is this run's, until this process ends, however it does.

    A lock of the file system decides between trainers that start at the same time;
    where it has none, or none between hosts, beats tell.
    """

    def __init__(self, workdir: pathlib.Path):
        """Takes it; raises ValueError if another run is at work in it."""
        path = _folder(workdir) / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(workdir)
        except BaseException:
            self.release()
            raise

    def _take(self, workdir: pathlib.Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _check_free(workdir)
            who = os.pread(self._file, _SIZE, 0).decode().strip()
            raise _in_use(
                workdir, f"{who or 'another process'}, just started"
            ) from None
        except OSError:
            pass  # no locks here
        _check_free(workdir)
        me = f"process {os.getpid()} on {socket.gethostname()}"
        with contextlib.suppress(OSError):  # on a full disk it has no name
            os.pwrite(self._file, me.encode().ljust(_SIZE), 0)

    def release(self) -> None:
        """Lets go of it."""
        os.close(self._file)


def _check_free(workdir: pathlib.Path) -> None:
    """Raises ValueError if a run shows signs of life in a workdir.

    What a killed process left behind is no hindrance. If that was on another host, it
    takes MISSED beats to tell.
    """
    beat = read(workdir).get(0)
    if beat is None:
        return
    alive = is_alive(beat)
    if alive is None:
        time.sleep(MISSED * EVERY)
        now = read(workdir).get(0, beat)
        alive = (now.run, now.beat) != (beat.run, beat.beat) and not now.ended
    if alive:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(beat.started))
        raise _in_use(workdir, f"{beat}, started {since}")


def _in_use(workdir: pathlib.Path, who: str) -> ValueError:
    return ValueError(
        f"{workdir} is in use: {who}, trains in it. Stop that process first, or choose "
        "another --workdir."
    )


def _folder(workdir: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(workdir) / "processes"


def _parse(path: pathlib.Path) -> Beat | None:
    try:
        return Beat(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # being written, for the first time
