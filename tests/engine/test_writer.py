"""What a run writes of itself, and what is dropped when it goes on."""

import io
import wave

import numpy as np
import PIL.Image
import programs
import pytest

from perceiver_jax.engine import writer
from perceiver_jax.engine.task import Sound
from perceiver_jax.engine.writer import METRICS, Writer, read_metrics

ROWS = [
    {"step": 1, "train/loss": 3.0},
    {"step": 2, "train/loss": 2.0},
    {"step": 2, "test/loss": 2.5},
    {"step": 3, "train/loss": 1.0},
]


def write(workdir, rows=ROWS):
    with Writer(workdir, 0) as made:
        for row in rows:
            made.scalars(
                row["step"], {k: np.float32(v) for k, v in row.items() if k != "step"}
            )


def test_rows_come_back(tmp_path):
    write(tmp_path)
    assert read_metrics(tmp_path) == ROWS


def test_half_a_line_of_a_killed_run_is_left_out(tmp_path):
    rows = '{"step": 1, "train/loss": 2.0}\n{"step": 2, '
    (tmp_path / METRICS).write_text(rows)
    assert read_metrics(tmp_path) == [{"step": 1, "train/loss": 2.0}]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    told = f"{METRICS} is damaged in line 2, '{{\"st': mend that line, or remove it"
    with pytest.raises(ValueError, match=told):
        read_metrics(tmp_path)
    before = (tmp_path / METRICS).read_bytes()
    with pytest.raises(ValueError, match=f"{METRICS} is damaged"):
        Writer(tmp_path, 3)
    assert (tmp_path / METRICS).read_bytes() == before


@pytest.mark.parametrize("line", [b"3", b'{"loss": 1}', b'{"step": "x"}', b"\xff\x00"])
def test_a_line_that_is_no_row_is_damaged(tmp_path, line):
    (tmp_path / METRICS).write_bytes(b'{"step": 1}\n' + line + b"\n")
    with pytest.raises(ValueError, match="damaged in line 2"):
        read_metrics(tmp_path)


def test_run_that_was_not_started_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has this run been started"):
        read_metrics(tmp_path)


@pytest.mark.parametrize(
    ("step", "is_evaluated", "kept"),
    [(3, True, 4), (2, True, 3), (2, False, 2), (1, True, 1), (0, True, 0)],
)
def test_rows_that_come_again_are_dropped(tmp_path, step, is_evaluated, kept):
    write(tmp_path)
    with Writer(tmp_path, step, is_evaluated):
        assert read_metrics(tmp_path) == ROWS[:kept]
    shown = [(tag, step) for tag, step, _ in programs.board(tmp_path)]
    assert shown == [(list(row)[1], row["step"]) for row in ROWS[:kept]]
    assert [path.name for path in tmp_path.glob("metrics*")] == [METRICS]


def test_tensorboard_shows_numbers_pictures_and_texts(tmp_path, caplog):
    picture = np.zeros((4, 6, 3), np.uint8)
    with caplog.at_level("INFO", logger="perceiver_jax"), Writer(tmp_path, 0) as made:
        made.scalars(1, {"train/loss": 3.0})
        made.pictures(1, {"test/shown": picture})
        made.texts(1, {"test/said": "**words**"})
    assert "test/said\n**words**" in caplog.text
    scalar, image, text = programs.board(tmp_path)
    assert scalar == ("train/loss", 1, 3.0)
    assert image[:2] == ("test/shown", 1)
    shown = PIL.Image.open(io.BytesIO(image[2]))
    assert shown.size == (6, 4)
    assert text == ("test/said/text_summary", 1, "**words**")


def test_tensorboard_plays_sounds(tmp_path):
    wave_form = np.sin(np.arange(800) / 5)
    with Writer(tmp_path, 0) as made:
        made.sounds(2, {"test/heard": Sound(1.5 * wave_form, 8_000)})
    ((tag, step, wav),) = programs.board(tmp_path)
    assert (tag, step) == ("test/heard", 2)
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels()) == (8_000, 1)
        found = np.frombuffer(file.readframes(800), "<i2") / 32_767
    np.testing.assert_allclose(found, np.clip(1.5 * wave_form, -1, 1), atol=1e-4)


def test_parameters_are_told_by_part_and_listed_in_a_file(tmp_path, caplog):
    shape = lambda *sizes: np.zeros(sizes, np.float32)
    params = {
        "encoder/a": {"w": shape(100, 20), "b": shape(20)},
        "encoder/b": {"w": shape(3)},
        "decoder": {"w": shape(7, 1)},
    }
    with caplog.at_level("INFO", logger="perceiver_jax"), Writer(tmp_path, 0) as made:
        made.parameters(params)
    assert "2,030 parameters: encoder 2,023, decoder 7" in caplog.text
    lines = (tmp_path / writer.PARAMETERS).read_text().splitlines()
    assert lines[0].split() == "encoder/a 2,020 w [100, 20] b [20]".split()
    assert lines[-1].split() == ["in", "all", "2,030"]


def test_other_processes_write_nothing(tmp_path):
    with Writer(tmp_path, 0, active=False) as silent:
        silent.scalars(1, {"train/loss": 3.0})
        silent.pictures(1, {"a": np.zeros((2, 2, 3), np.uint8)})
        silent.texts(1, {"a": "b"})
        silent.sounds(1, {"a": Sound(np.zeros(3), 8_000)})
        silent.parameters({"m": {"w": np.zeros(3)}})
    assert not list(tmp_path.iterdir())


def test_numbers_on_one_line():
    assert writer.show({"a": 0.123456, "b": 12345.6}) == "a 0.1235  b 1.235e+04"


def test_full_disk_is_named(tmp_path):
    with Writer(tmp_path, 0) as made:
        (tmp_path / METRICS).symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left on device") as error:
            made.scalars(1, {"train/loss": 3.0})
    assert error.value.filename == str(tmp_path / METRICS)
