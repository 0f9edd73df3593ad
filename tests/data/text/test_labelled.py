"""Labelled texts of one's own: what is read, and what is said of a bad file."""

import json
import pickle
import re

import pytest

from perceiver_jax.data.text.labelled import read_labelled


@pytest.fixture
def write(tmp_path):
    """A function that writes a file of a name and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


ROWS = [("good, old café", "pos"), ('he said\r\n"no"', "neg"), ("\ttab", "pos")]

CSV = 'text,label\n"good, old café",pos\n"he said\r\n""no""",neg\n\ttab,pos\n'
TSV = 'label\ttext\npos\tgood, old café\nneg\t"he said\r\n""no"""\npos\t"\ttab"\n'
JSONL = "\n".join(json.dumps({"text": t, "label": lab}) for t, lab in ROWS) + "\n\n"


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.csv", CSV, [2, 3, 5]),  # the second has a line break inside
        ("a.csv", "\ufeff" + CSV, [2, 3, 5]),  # as spreadsheets write it
        ("a.tsv", TSV, [2, 3, 5]),
        ("a.jsonl", JSONL, [1, 2, 3]),
    ],
)
def test_every_format_gives_the_same_examples(write, name, content, lines):
    path = write(name, content)
    source = read_labelled(path)
    assert source.class_names == ["neg", "pos"]
    assert source.text_columns == ["text"]
    assert list(pickle.loads(pickle.dumps(source))) == [
        {
            "texts": (text.encode(),),
            "label": ["neg", "pos"].index(label),
            "index": index,
            "name": f"{path} line {lines[index]}",
        }
        for index, (text, label) in enumerate(ROWS)
    ]


def test_pairs_are_found_or_named(write):
    path = write("a.csv", "text2,label,text,title\nb,1,a,t\nd,2,c,u\n")
    assert read_labelled(path)[1]["texts"] == (b"c", b"d")
    named = read_labelled(path, text_columns=["title", "text"])
    assert named[0]["texts"] == (b"t", b"a")
    assert named.text_columns == ["title", "text"]
    # A pair anywhere makes every row a pair.
    lines = ['{"text": "a", "label": 1}', '{"text": "c", "text2": "d", "label": 2}']
    with pytest.raises(ValueError, match="line 1 has None as text2"):
        read_labelled(write("a.jsonl", "\n".join(lines)))


def test_an_evaluation_file_has_the_classes_of_training(write):
    path = write("test.csv", "text,label\na,pos\nb,pos\n")
    source = read_labelled(path, class_names=["bad", "neg", "pos"])
    assert [example["label"] for example in source] == [2, 2]
    with pytest.raises(
        ValueError, match="test.csv line 2 has the label 'pos'.*2 known.*bad, neg;"
    ):
        read_labelled(path, class_names=["bad", "neg"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.CSV", "text , label\na,pos\nb, pos\nc,neg \n"),
        ("a.Jsonl", '{"text": "a", "label": " pos"}\n{"text": "b", "label": "neg"}'),
    ],
)
def test_white_space_around_labels_and_the_case_of_suffixes_do_not_count(
    write, name, content
):
    source = read_labelled(write(name, content))
    assert source.class_names == ["neg", "pos"]
    assert [example["label"] for example in source] in ([1, 1, 0], [1, 0])


def test_json_labels_may_be_numbers_and_truth_values(write):
    labels = [3, "x", True, 0.5]
    lines = [json.dumps({"text": "a", "label": label}) for label in labels]
    source = read_labelled(write("a.jsonl", "\n".join(lines)))
    assert source.class_names == ["0.5", "3", "true", "x"]
    assert [example["label"] for example in source] == [1, 3, 2, 0]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_texts_are_the_bytes_of_the_file_even_if_they_are_no_utf8(write, name):
    rows = {
        "a.csv": b"text,label\nna\xefve \xff,1\nb,2\n",
        "a.tsv": b"text\tlabel\nna\xefve \xff\t1\nb\t2\n",
        "a.jsonl": b'{"text": "na\xefve \xff", "label": 1}\n{"text":"b","label":2}\n',
    }
    assert read_labelled(write(name, rows[name]))[0]["texts"] == (b"na\xefve \xff",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "a", "not named .csv or .tsv or .jsonl; convert"),
        ("a.csv", "", "holds no examples; add one"),
        ("a.csv", "text,label\n", "holds no examples; add one"),
        ("a.jsonl", "\n", "holds no examples; add one"),
        ("a.csv", "txt,label\na,1\n", "no column text, but txt, label; rename"),
        ("a.csv", "a,b\nc,d\n", "no column text and label, but a, b; .*first line"),
        ("a.csv", "text\tlabel\na\t1\n", "stand between tabs: name it .tsv"),
        ("a.csv", "text;label\na;1\n", "between semicolons: save it with commas"),
        ("a.tsv", "text,label\na,1\n", "stand between commas: name it .csv"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.tsv", "text\tlabel\n".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        ("a.jsonl", '{"text": 1}'.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", b"text,label\na,1\nb,caf\xe9\n", "line 3 .*, which is not UTF-8"),
        ("a.csv", "text,label\na,1\n\nb\n", "line 4 has 1 fields, the header 2"),
        ("a.csv", "text,label\na, b,1\n", "line 2 has 3 fields.*quote a field"),
        ("a.csv", 'text,label\na,1\n"b" c,2\n', "line 3: .*expected.*double these"),
        ("a.csv", 'text,label\na,1\n"b,2\nc,1\n', "line 3: unexpected end"),
        ("a.csv", f"text,label\na,1\n{'b' * 200_000},1\n", "line 3: .*use a .jsonl"),
        ("a.csv", "text,label\na,1\nb, \n", "line 3 has the label ' '; give"),
        ("a.csv", "text,label\na,1\nb,1\n", "label '1' in all 2 rows.*nothing to"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"te', "line 2 is not JSON: .*one obj"),
        ("a.jsonl", "[" * 100_000, "line 1 is not JSON: .*one obj"),
        ("a.jsonl", "[1, 2]\n", "line 1 is no JSON object but '.1, 2.'"),
        (
            "a.jsonl",
            '{"text": 5, "label": 1}\n{"text": "b", "label": 2}\n',
            "line 1 has 5 as text; give a text",
        ),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1 has the label None"),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n\n{"text": "b"}\n',
            "line 3 has the label None",
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"text": "\\ud83d", "label": 2}\n',
            "line 2 has in text what is no character",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_line(write, name, content, message):
    path = write(name, content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + f".*{message}"):
        read_labelled(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="none.csv is not a file; give a .csv or .tsv or "
    ):
        read_labelled(tmp_path / "none.csv")
