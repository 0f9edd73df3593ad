"""The clock counts every second of a process once."""

import time

import pytest

from perceiver_jax.cluster import phases


@pytest.fixture
def now(monkeypatch):
    """Seconds that pass only when told."""
    passed = [1000.0]
    monkeypatch.setattr(phases.time, "monotonic", lambda: passed[0])
    return passed


def test_seconds_go_to_the_phase_they_were_spent_in(now):
    clock = phases.Clock()
    begun = clock.seconds[phases.START] + clock.waited
    now[0] += 3
    with clock.phase(phases.STEP):
        now[0] += 5
        with clock.phase(phases.SAVE):
            now[0] += 7
            assert clock.current == phases.SAVE and clock.waited == 7
        now[0] += 11
    now[0] += 13
    totals = clock.totals()
    assert totals[phases.START] == pytest.approx(begun + 3 + 13)
    assert (totals[phases.STEP], totals[phases.SAVE]) == (16, 7)
    assert totals[phases.DATA] == 0


def test_phase_ends_with_an_error(now):
    clock = phases.Clock()
    with pytest.raises(KeyError), clock.phase(phases.DATA):
        raise KeyError
    assert clock.current == phases.START


def test_life_begins_with_the_process():
    clock = phases.Clock()
    lived = time.time() - clock.started
    assert lived > 0.5  # importing JAX alone takes longer
    assert sum(clock.totals().values()) == pytest.approx(lived, abs=0.5)
