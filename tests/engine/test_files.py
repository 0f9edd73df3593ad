"""Files are replaced whole, and named where they can't be."""

import errno

import pytest

from perceiver_jax.engine import files


def test_text_is_replaced_whole(tmp_path):
    path = tmp_path / "note.txt"
    for text in ("first\n", "second\n"):
        files.replace_text(path, text)
        assert path.read_text() == text and list(tmp_path.iterdir()) == [path]


def test_error_without_a_name_gets_one(tmp_path):
    with pytest.raises(OSError) as error, files.named_in_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path) and error.value.errno == errno.ENOSPC


def test_error_with_a_name_keeps_it(tmp_path):
    with pytest.raises(NotADirectoryError) as error:
        (tmp_path / "a").write_text("")
        files.replace_text(tmp_path / "a" / "b", "")
    assert error.value.filename.startswith(str(tmp_path / "a" / "b"))
