"""The feed gives batches in order, and does not wait for ever or in silence."""

import itertools
import os
import signal
import threading

import pytest

from perceiver_jax.cluster import life, signals
from perceiver_jax.engine import feed


@pytest.fixture
def lived(tmp_path):
    with life.join(tmp_path, {}, life.Limits(stall=0.6)) as lived:
        yield lived


@pytest.fixture
def hanging():
    """Data that hangs after its first batch, until the test is over."""
    over = threading.Event()

    def batches():
        yield 1
        over.wait()

    yield batches()
    over.set()


def test_batches_come_in_order(lived):
    fed = feed.Feed(itertools.count(), lived)
    assert [fed.next() for _ in range(20)] == list(range(20))
    assert 0 < lived.clock.seconds["data"] < 5


def test_error_of_the_data_comes_where_it_is_waited_for(lived):
    def batches():
        yield 1
        raise OSError("the disk is gone")

    fed = feed.Feed(batches(), lived)
    assert fed.next() == 1
    with pytest.raises(OSError, match="the disk is gone"):
        fed.next()


def test_waiting_has_a_warning_and_a_limit(lived, hanging, monkeypatch, caplog):
    monkeypatch.setattr(feed, "WARN_AFTER", 0.1)
    fed = feed.Feed(hanging, lived)
    fed.next()
    with pytest.raises(feed.DataTimeoutError, match="--config.stall_limit"):
        fed.next()
    assert caplog.text.count("Waiting for data") == 1


def test_signal_ends_the_wait(tmp_path, hanging):
    with life.join(tmp_path, {}) as lived:
        fed = feed.Feed(hanging, lived)
        fed.next()
        # In this phase the main thread is left to save what there is.
        lived.clock.switch("step")
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(signals.Stopped, match="SIGTERM"):
            fed.next()
