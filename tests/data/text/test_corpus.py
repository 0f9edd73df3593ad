"""Corpora of files: every byte once, in little memory, with errors that say where."""

import gzip
import json
import pickle
import subprocess
import sys

import numpy as np
import programs
import pytest

from perceiver_jax.data.text import corpus


def open_files(pattern, field="text", cache="unused"):
    return corpus.TextFiles(str(pattern), field, str(cache))


def texts(source):
    return [source[index]["text"] for index in range(len(source))]


def write_lines(path, objects, opener=open):
    with opener(path, "wt") as file:
        file.writelines(json.dumps(value) + "\n" for value in objects)


def test_every_byte_of_every_file_once(tmp_path):
    rng = np.random.default_rng(0)
    contents = {
        "binary.txt": rng.integers(0, 256, 5 * corpus.SPAN + 7, np.uint8).tobytes(),
        "empty.txt": b"",
        "exact.txt": b"x" * (corpus.SPAN - 1) + b"\n" + b"y" * corpus.SPAN,
        "long.txt": b"a" * (4 * corpus.SPAN) + b"\nb\n" + b"c" * 99,
        "short.txt": b"one line",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    source = open_files(f"{tmp_path}/*.txt")
    found = texts(source)
    assert b"".join(found) == b"".join(contents.values())
    assert max(map(len, found)) < 2 * corpus.SPAN
    assert source[len(source) - 1] == {
        "text": b"one line",
        "name": f"{tmp_path}/short.txt from byte 0",
    }
    with pytest.raises(IndexError):
        source[len(source)]


def test_lines_are_whole_where_they_fit(tmp_path):
    lines = [b"line %d " % n + b"x" * (n % 300) + b"\n" for n in range(1000)]
    (tmp_path / "a.txt").write_bytes(b"".join(lines))
    found = texts(open_files(f"{tmp_path}/a.txt"))
    assert len(found) > 5
    assert all(text.startswith(b"line ") and text.endswith(b"\n") for text in found)


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_give_every_text_once(tmp_path, packed):
    rng = np.random.default_rng(0)
    documents = [f"document {n} é\n" + "x" * rng.integers(9000) for n in range(50)]
    documents.append("y" * (3 * corpus.SPAN))
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    opener = gzip.open if packed else open
    write_lines(path, [{"id": 1, "body": text} for text in documents], opener)
    source = open_files(path, "body", f"{tmp_path}/cache")
    found = [text.decode() for text in texts(source) if text]
    assert corpus.SEPARATOR.decode().join(found) == "\n\n".join(documents)


def test_packed_files_are_unpacked_once(tmp_path):
    path, cache = tmp_path / "a.txt.gz", tmp_path / "cache"
    path.write_bytes(gzip.compress(b"old text"))
    assert texts(open_files(path, cache=cache)) == [b"old text"]
    unpacked = next(cache.iterdir())
    before = unpacked.stat().st_mtime_ns
    assert texts(open_files(path, cache=cache)) == [b"old text"]
    assert [f.stat().st_mtime_ns for f in cache.iterdir()] == [before]
    path.write_bytes(gzip.compress(b"another text"))  # is not taken for the old one
    assert texts(open_files(path, cache=cache)) == [b"another text"]


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"no gzip"])
def test_damaged_packed_files_are_named_and_leave_nothing(tmp_path, damage):
    path, cache = tmp_path / "a.txt.gz", tmp_path / "cache"
    path.write_bytes(damage(gzip.compress(np.random.default_rng(0).bytes(1000))))
    with pytest.raises(ValueError, match="a.txt.gz is no gzip file, or is cut off"):
        open_files(path, cache=cache)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    "bad", ['{"txt": "x"}', '{"text": 3}', '{"text"', "[]", '"text"', "[" * 99_999]
)
def test_a_line_without_the_text_is_named(tmp_path, bad):
    good = [json.dumps({"text": "x" * 400})] * 99
    (tmp_path / "a.jsonl").write_text("\n".join([*good[:70], bad, *good]))
    source = open_files(f"{tmp_path}/a.jsonl")
    with pytest.raises(ValueError, match="a.jsonl line 71 is no JSON object, in"):
        texts(source)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file matches .*; give a file or a"):
        open_files(f"{tmp_path}/*.txt")
    with pytest.raises(FileNotFoundError, match=r"is a folder: give '.*/\*\*/\*.txt'"):
        open_files(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "link.txt").symlink_to("nowhere.txt")
    (tmp_path / "nothing" / "folder.txt").mkdir()
    with pytest.raises(FileNotFoundError, match="no file matches"):
        open_files(f"{tmp_path}/nothing/*.txt")
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=r"the 1 files of .* are empty"):
        open_files(f"{tmp_path}/*.txt")


def test_a_file_may_have_brackets_in_its_name(tmp_path):
    path = tmp_path / "wiki [1]" / "a*.txt"
    path.parent.mkdir()
    path.write_bytes(b"text")
    assert texts(open_files(path)) == [b"text"]


def test_a_cache_that_is_a_file_is_named(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"text"))
    (tmp_path / "cache").touch()
    with pytest.raises(NotADirectoryError, match="cache is a file; name a folder to"):
        open_files(tmp_path / "a.txt.gz", cache=tmp_path / "cache")


def test_a_source_goes_to_worker_processes(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"text")
    source = open_files(f"{tmp_path}/a.txt")
    assert texts(pickle.loads(pickle.dumps(source))) == [b"text"]
    memory = corpus.in_memory([b"ends with zero\0", b""], ["a", "b"])
    assert texts(memory) == [b"ends with zero\0", b""]


MEASURE = """
import resource, sys
import numpy as np
from perceiver_jax.data import loader
from perceiver_jax.data.text import corpus, masking, tokenizer

tokens = tokenizer.Bytes()
mask = masking.WholeWords(tokens, 0.15)

def crop(texts, rng):
    found = tokens.encode(b"".join(text["text"] for text in texts))[:512]
    return {"tokens": np.where(mask(found, rng), tokenizer.MASK, found)}

files = corpus.TextFiles(sys.argv[1], "text", "unused")
batches = loader.TrainLoader(
    files, crop, batch_size=16, seed=0, group_size=10
).batches()
peaks = []
for step, batch in zip(range(100), batches):
    if step in (10, 99):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peaks[1] - peaks[0]) / 1024)
"""


def test_memory_is_flat_over_a_large_file(tmp_path):
    """A quarter of a gigabyte, all of it in use, in 32 MB."""
    with (tmp_path / "large.txt").open("wb") as file:
        line = b"a line of some words that are all alike " * 20 + b"\n"
        for _ in range(256 * 2**20 // len(line)):
            file.write(line)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "large.txt")],
        cwd=programs.ROOT,
        env=programs.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 32
