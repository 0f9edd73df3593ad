"""Which checkpoint training goes on from, and that a lost one stops it."""

import pytest

from perceiver_jax.engine.checkpoints import resume_point
from perceiver_jax.engine.checkpoints.resume_point import ResumePoint


def make(workdir, steps):
    for step in steps:
        (workdir / "checkpoints" / str(step)).mkdir(parents=True)
    return ResumePoint(workdir)


def steps_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_newest_is_gone_on_with(tmp_path):
    point = ResumePoint(tmp_path)
    assert point.find([]) is None and point.find([2, 6, 4]) == 6
    point.was_written(6)
    # A run may be killed between a save and the note of it.
    assert point.find([2, 6]) == 6 and point.find([6, 8]) == 8
    assert [path.name for path in tmp_path.iterdir()] == [resume_point.NEWEST]


def test_lost_newest_checkpoint_stops_training(tmp_path):
    point = ResumePoint(tmp_path)
    point.was_written(6)
    with pytest.raises(FileNotFoundError, match="checkpoints/6 is missing") as error:
        point.find([2, 4])
    assert "there are [2, 4]" in str(error.value)
    assert "--resume_from=4" in str(error.value)
    assert point.find([2, 4], chosen=2) == 2
    with pytest.raises(FileNotFoundError, match="no other. metrics.jsonl stays"):
        point.find([])


def test_a_step_that_is_not_there_can_not_be_chosen(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"of step 3 in .*; it has \[2, 4\]"):
        ResumePoint(tmp_path).find([2, 4], chosen=3)


def test_later_ones_are_set_aside_and_the_choice_is_made_once(tmp_path):
    point = make(tmp_path, [2, 4, 6])
    point.was_written(6)
    point.set_aside_after(2, [2, 4, 6])
    assert steps_in(tmp_path / "checkpoints") == ["2"]
    assert steps_in(tmp_path / "set_aside") == ["4", "6"]
    assert point.find([2]) == 2
    # A launcher repeats its command, --resume_from too.
    assert point.find([2, 4], chosen=2) == 4


def test_what_is_set_aside_is_never_replaced(tmp_path):
    point = make(tmp_path, [2, 4])
    point.set_aside_after(2, [2, 4])
    make(tmp_path, [4])
    (tmp_path / "set_aside/resumed_from.txt").unlink()
    assert point.find([2, 4], chosen=2) == 2
    point.set_aside_after(2, [2, 4])
    assert steps_in(tmp_path / "set_aside") == ["4", "4_2"]


def test_damaged_note_is_named(tmp_path):
    (tmp_path / resume_point.NEWEST).write_bytes(b"\xff6")
    with pytest.raises(ValueError, match="newest_checkpoint.txt is damaged.*remove"):
        ResumePoint(tmp_path).find([6])
