"""Every second of a run is counted once, over all its starts."""

import json

import pytest

from perceiver_jax.cluster import heartbeat, phases
from perceiver_jax.engine import goodput


class World:
    """Time that passes when told, for processes that start and end in it."""

    def __init__(self, monkeypatch, workdir):
        self.now, self.workdir = 1000.0, workdir
        for module in (goodput.time, phases.time):
            monkeypatch.setattr(module, "time", lambda: self.now)
            monkeypatch.setattr(module, "monotonic", lambda: self.now)

    def start(self, first_step=0, before=None):
        """A process that starts now."""
        self.clock = phases.Clock()
        self.clock.started = self.clock._since = self.now
        found = goodput.Goodput(self.workdir, self.clock, first_step, before)
        return found

    def spend(self, phase, seconds):
        with self.clock.phase(phase):
            self.now += seconds

    def beat(self, ended=""):
        """The last sign of life, now."""
        return heartbeat.Beat(1, "a", 2, 0.0, time=self.now, ended=ended)


@pytest.fixture
def world(monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path)


def spent(found):
    return {name: seconds for name, seconds in found.seconds().items() if seconds}


def test_one_start(world):
    found = world.start()
    world.spend("compile", 10)
    world.spend("step", 30)
    assert spent(found) == {"compile": 10, "step": 30}
    shares = found.shares()
    assert (shares["goodput/step"], shares["goodput/lost"]) == (0.75, 0)
    assert sum(shares.values()) == 1


def test_steps_after_the_checkpoint_are_lost_with_a_killed_start(world):
    found = world.start()
    world.spend("step", 30)
    found.note(5)
    world.spend("step", 8)
    world.spend("evaluation", 2)
    died = world.beat()
    world.now += 100  # nobody there
    again = world.start(5, died)
    world.spend("step", 50)
    half = heartbeat.EVERY / 2
    assert spent(again) == {"step": 80, "lost": 10 + half}
    table = again.table()
    assert "lost" in table and "starts: 2" in table
    assert f"{100 - half:.1f} s between them" in table


def test_what_was_noted_at_the_end_is_not_lost(world):
    found = world.start()
    world.spend("step", 30)
    found.note(5)
    world.spend("evaluation", 10)
    found.note(5)
    again = world.start(5, world.beat("stopped"))
    assert spent(again) == {"step": 30, "evaluation": 10}


def test_older_checkpoint_loses_all_since(world):
    found = world.start()
    for step in (1, 2, 3):
        world.spend("step", 10)
        found.note(step)
    again = world.start(1, world.beat("failed"))
    assert spent(again) == {"step": 10, "lost": 20}
    world.spend("step", 5)
    assert sum(again.seconds().values()) == 35


def test_unknown_checkpoint_or_damaged_file_begins_anew(world, tmp_path):
    found = world.start()
    world.spend("step", 10)
    found.note(1)
    assert spent(world.start(7)) == {"lost": 10}
    (tmp_path / goodput.FILE).write_text('{"lives')
    assert spent(world.start(1)) == {}


def test_only_the_main_process_writes(world, tmp_path):
    goodput.Goodput(tmp_path, phases.Clock(), 0, active=False).note(3)
    assert not list(tmp_path.iterdir())
    found = world.start()
    for step in range(40):
        found.note(step)
    saved = json.loads((tmp_path / goodput.FILE).read_text())
    assert list(saved["steps"]) == [str(step) for step in range(24, 40)]
