"""Bytes and SentencePiece: every text comes back, words are the same for both."""

import pickle
import pydoc_data.topics

import numpy as np
import pytest
import sentencepiece

from perceiver_jax.data.text import tokenizer

TOPICS = [text.encode() for text in pydoc_data.topics.topics.values()]
ODD = [
    b"",
    b"  two  spaces\n\n\ttab\r\n",
    "é日✓ ▁underline▁ \u00a0no-break".encode(),
    b"not \xff\xfe UTF-8 \xc3",
    b"\x00 zero [MASK] <0x41> <s>",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A SentencePiece model of 1,500 pieces, learned from half of Python's topics."""
    path = tmp_path_factory.mktemp("tokenizer") / "half.model"
    path.write_bytes(tokenizer.train(TOPICS[::2], 1500))
    return path


@pytest.fixture(params=["bytes", "sentencepiece"])
def tokens(request, model):
    name = "bytes" if request.param == "bytes" else str(model)
    return tokenizer.make(name)


def test_bytes_are_the_released_ids():
    tokens = tokenizer.Bytes()
    assert tokens.vocab_size == 262
    np.testing.assert_array_equal(
        tokens.encode_masked("a[MASK]é".encode()), [ord("a") + 6, 3, 0xC3 + 6, 0xA9 + 6]
    )
    np.testing.assert_array_equal(tokens.encode(bytes(range(256))), np.arange(6, 262))
    reserved = [
        getattr(tokenizer, name) for name in ("PAD", "BOS", "EOS", "MASK", "CLS", "SEP")
    ]
    assert reserved == [0, 1, 2, 3, 4, 5]


def test_any_text_comes_back(tokens):
    for text in [*ODD, *TOPICS]:
        encoded = tokens.encode(text)
        assert encoded.dtype == np.int32
        assert tokens.decode(encoded) == text
        assert not (encoded < tokenizer.NUM_RESERVED).any()  # no text is a reserved one


def test_masks_in_a_text_are_tokens_only_where_asked_for(tokens):
    text = b"a [MASK] b[MASK]"
    encoded = tokens.encode_masked(text)
    assert (encoded == tokenizer.MASK).sum() == 2
    assert tokens.decode(encoded) == text
    assert (tokens.encode(text) != tokenizer.MASK).all()


def test_words_are_what_stands_between_white_space(tokens):
    for text in [*ODD, *TOPICS]:
        if "▁".encode() in text:  # is a word character in bytes, and in no piece
            continue
        encoded = tokens.encode(text)
        words = tokens.words(encoded)
        assert words.max(initial=-1) + 1 == len(text.split())
        found = [
            tokens.decode(encoded[words == number])
            for number in range(len(text.split()))
        ]
        assert [word.strip() for word in found] == text.split()
        outside = [tokens.pieces[t] for t in encoded[words == -1]]
        assert b"".join(outside).strip() == b""


def test_reserved_tokens_end_words():
    tokens = tokenizer.Bytes()
    encoded = tokens.encode_masked(b"ab[MASK]cd")
    np.testing.assert_array_equal(tokens.words(encoded), [0, 0, -1, 1, 1])


def test_bytes_that_are_no_white_space_are_counted(tokens):
    for text in TOPICS[:5]:
        count = tokens.word_bytes[tokens.encode(text)].sum()
        assert count == len(b"".join(text.split()))


def test_pieces_are_shorter_than_bytes(model):
    text = b"".join(TOPICS[1::2])
    tokens = tokenizer.make(str(model))
    assert tokens.vocab_size == 1500
    assert len(tokens.encode(text)) < len(text) / 2
    assert max(map(len, tokens.pieces)) > 3
    # Nothing that spans two words.
    assert all(len(piece.split()) <= 1 for piece in tokens.pieces)


def test_a_tokenizer_goes_to_worker_processes(tokens):
    again = pickle.loads(pickle.dumps(tokens))
    assert again.name == tokens.name
    np.testing.assert_array_equal(again.encode(TOPICS[0]), tokens.encode(TOPICS[0]))


def test_names_tell_vocabularies_apart(model, tmp_path):
    other = tmp_path / "other.model"
    other.write_bytes(tokenizer.train(TOPICS[1::2], 1500))
    names = {tokenizer.make(str(name)).name for name in ("bytes", model, other)}
    assert len(names) == 3
    assert tokenizer.make(str(model)).name in names


def test_tokens_are_shown_on_one_line(tokens):
    assert tokens.show(tokenizer.MASK) == "[MASK]"
    shown = [tokens.show(t) for t in tokens.encode(b"if\n\xff")]
    assert "".join(shown) == "if\\n\\xff"


def foreign_model(path):
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(t.decode() for t in TOPICS[:9]),
            model_writer=file,
            vocab_size=300,
            minloglevel=2,
        )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, FileNotFoundError, "is no file; train a tokenizer"),
        (lambda path: path.write_bytes(b"junk"), ValueError, "no SentencePiece model"),
        (lambda path: path.touch(), ValueError, "no SentencePiece model: it is empty"),
        (lambda path: path.mkdir(), FileNotFoundError, "is no file; train a tokenizer"),
        (foreign_model, ValueError, "other reserved tokens"),
    ],
)
def test_wrong_models_are_refused(tmp_path, make, error, message):
    path = tmp_path / "x.model"
    make(path)
    with pytest.raises(error, match=message):
        tokenizer.make(str(path))


def test_too_little_text_for_so_many_pieces():
    with pytest.raises(ValueError, match="can't train 2000 pieces: Vocabulary size"):
        tokenizer.train([b"abc def"], 2000)
    with pytest.raises(ValueError, match="there is no text"):
        tokenizer.train([b" "], 300)


def test_padding_and_its_mask():
    padded, mask = tokenizer.pad(np.array([7, 8]), 4)
    np.testing.assert_array_equal(padded, [7, 8, 0, 0])
    np.testing.assert_array_equal(mask, [True, True, False, False])
    with pytest.raises(ValueError, match="5 tokens do not fit into 4"):
        tokenizer.pad(np.zeros(5), 4)
