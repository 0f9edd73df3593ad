"""Rows of CSV and TSV files, and quotes that do not fit."""

import pytest

from perceiver_jax.data.text import delimited


@pytest.fixture
def read(tmp_path):
    """A function that reads what a file named a.csv would hold."""

    def read_file(content, delimiter=","):
        path = tmp_path / "a.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return delimited.read(path, delimiter, known="label")

    return read_file


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_come_with_their_first_lines(read, end):
    content = end.join(
        ["text,label", '"one', "", 'two, and ""three""",1', "", "b,2", ""]
    )
    assert read(content) == [
        (2, {"text": f'one{end}{end}two, and "three"', "label": "1"}),
        (6, {"text": "b", "label": "2"}),
    ]
    assert read("\ufefftext\tlabel\na\t1\n", "\t") == [(2, {"text": "a", "label": "1"})]
    assert read("") == read("text,label") == []


def test_texts_are_the_bytes_of_the_file(read):
    ((_, row),) = read(b"text,label\n\0 \xff\xfe,1\n")
    assert row["text"].encode(errors=delimited.ESCAPE) == b"\0 \xff\xfe"


# Only the first column, and two of four fields, hold what could be labels.
ORDINARY = [
    'text,label\n"Well, yes.\nNo",neg\nfine,pos\n',
    'text,label\n"one, two\nthree, four\nfive",neg\nfine,pos\n',
    'text,label\n"\n\nfine\n",neg\nfine,pos\n',
    'text,label\n"He said: ""good,\nbad""",neg\nfine,pos\n',
    'text,label\n"They print:\nfine,pos\nbad,neg",pos\nfine,neg\n',  # not its first
    'label,text\nneg,"Well\nNo, yes"\npos,fine\n',
    'text,label,text2\n"a\nb",neg,"c\nd"\ne,pos,f\n',
    'text,label\n5" wide,neg\n6" wide,pos\n',
]


@pytest.mark.parametrize("content", ORDINARY)
def test_texts_of_several_lines_and_with_quotes_are_read(read, content):
    assert len(read(content)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # A quote that nothing closes, and one somewhere below that closes it.
        ('text,label\na,neg\n"good,pos\nit is 5",neg\nb,pos\n', "line 3: .* line 4"),
        ('text,label\n"good,pos\nfine,neg\n\nit is 5",neg\nb,pos\n', "line 2: .* 5"),
        (
            'text,label\r\n"good,pos\r\nfine, neg\r\nb",neg\r\nc,pos',
            "line 2: .* line 4",
        ),
        ('label,text\npos,"good\nneg,it is 5"\nneg,b\n', "line 2: .* line 3"),
        (
            'title,text,label\n"one, two","good,pos\nc,it is 5",neg\n"c, d",b,pos\n',
            "line 2: .* line 3",
        ),
        # Nothing below closes it, or what does is followed by more.
        ('text,label\na,pos\n"good,pos\nfine,neg\n', "line 3: unexpected end"),
        ('text,label\n"good,pos\nfine,neg\n"b, c",neg\n', "line 2: .* expected"),
    ],
)
def test_a_quote_that_swallows_rows_is_named(read, content, message):
    with pytest.raises(ValueError, match=f"a.csv {message}"):
        read(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,1\n\nb\n", "line 4 has 1 fields, the header 2; quote a"),
        ("text,text,label\na,b,1\n", "has 2 columns text; rename all but one"),
        (f"text,label\n{'b' * 200_000},1\n", "line 2: field larger .*.jsonl"),
    ],
)
def test_what_is_no_table_is_named(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


def test_columns_without_names_do_not_count(read):
    assert read("text,label,,\na,1,,\n")[0][1] == {"text": "a", "label": "1", "": ""}
