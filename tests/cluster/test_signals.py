"""A process that is asked to stop knows at once, and says that it is not finished."""

import os
import select
import signal
import subprocess
import sys

import pytest
from programs import ROOT

from perceiver_jax.cluster import signals


def test_signals_become_bytes_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with signals.noted() as reader:
        assert select.select([reader], [], [], 0)[0] == []
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # no KeyboardInterrupt
        assert set(os.read(reader, 16)) == {signal.SIGTERM, signal.SIGINT}
    assert signal.getsignal(signal.SIGTERM) is before


# In Python, and in a library that waits: there Python's own handlers wait, too.
WAITS = {
    "Python": "input()",
    "a library": (
        "lock = ctypes.create_string_buffer(64); library = ctypes.CDLL(None);"
        "[library.pthread_mutex_lock(lock) for _ in range(2)]"  # the second time waits
    ),
}


@pytest.mark.parametrize("number", signals.ASKING)
@pytest.mark.parametrize("where", WAITS)
def test_asked_early_a_process_ends_as_unfinished(number, where):
    code = (
        "import ctypes, threading;"
        "from perceiver_jax.cluster import signals; signals.end_when_asked();"
        "threading.Timer(0.3, lambda: print('ready', flush=True)).start();"
        f"{WAITS[where]}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(30) == 75
    assert process.communicate() == (b"", b"")
