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


@pytest.mark.parametrize("number", signals.ASKING)
def test_asked_early_a_process_ends_as_unfinished(number):
    code = (
        "from perceiver_jax.cluster import signals; signals.end_when_asked();"
        "print('ready', flush=True); input()"
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
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 75
