"""TensorBoard's files: there at once, and without what comes again."""

import numpy as np
import programs
import pytest

from perceiver_jax.engine import event_files
from perceiver_jax.engine.event_files import EventFile


def write(folder, start, *steps):
    """An event file, left as a kill leaves it: never closed."""
    file = EventFile(folder, start)
    for step in steps:
        file.scalar(step, "train/loss", 0.5 * step)
        file.picture(step, "test/shown", np.full((2, 3, 3), step, np.uint8))
        file.text(step, "test/said", f"step {step}")
    file.flush()
    return file


def found(folder):
    return [(tag, step) for tag, step, _ in programs.board(folder.parent)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tensorboard"


def test_what_is_flushed_is_there_without_an_end(folder):
    file = write(folder, 0, 1)
    loss, shown, said = programs.board(folder.parent)
    assert loss == ("train/loss", 1, 0.5)
    assert shown[:2] == ("test/shown", 1) and said[:2] == ("test/said/text_summary", 1)
    assert said[2] == "step 1" and shown[2].startswith(b"\x89PNG")
    file.close()


@pytest.mark.parametrize("cut", [1, 5, 13])
def test_later_steps_and_half_a_record_are_dropped_from_all_files(folder, cut):
    write(folder, 0, 1, 2)
    write(folder, 2, 3, 4)
    newest = sorted(folder.iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-cut])
    event_files.drop(
        folder, lambda step, tag: step < 3 or (step == 3 and "test" in tag)
    )
    tags = ["train/loss", "test/shown", "test/said/text_summary"]
    kept = [(tag, step) for step in (1, 2) for tag in tags]
    assert found(folder) == [*kept, *((tag, 3) for tag in tags[1:])]
    assert len(list(folder.iterdir())) == 2  # no half-written file is left
    write(folder, 3, 4)
    assert found(folder)[-3:] == [(tag, 4) for tag in tags]


def test_files_of_which_all_is_kept_are_not_written(folder):
    write(folder, 0, 1)
    (path,) = folder.iterdir()
    before = path.stat().st_ino
    event_files.drop(folder, lambda step, tag: True)
    assert path.stat().st_ino == before


def test_a_folder_that_is_not_there_is_left_so(folder):
    event_files.drop(folder, lambda step, tag: True)
    assert not folder.exists()


def test_damaged_record_ends_a_file_with_a_warning(folder, caplog):
    write(folder, 0, 1, 2)
    (path,) = folder.iterdir()
    records = [record for record, _ in event_files.read(path)]
    data = bytearray(path.read_bytes())
    data[sum(map(len, records[:4]))] ^= 1  # the length of the fifth
    path.write_bytes(data)
    with caplog.at_level("WARNING", logger="perceiver_jax"):
        assert len(list(event_files.read(path))) == 4
    assert f"{path} is damaged" in caplog.text
