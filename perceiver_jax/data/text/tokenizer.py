"""Text to tokens and back: bytes, or SentencePiece, behind one small interface.

Text is `bytes` everywhere, valid UTF-8 or not, and every tokenizer gives back exactly
the bytes that it was given. Both share six reserved tokens (released byte model).
"""

import abc
import functools
import hashlib
import io
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from perceiver_jax import extras

sentencepiece = extras.Library("sentencepiece", extra="text")

PAD, BOS, EOS, MASK, CLS, SEP = range(6)
RESERVED = ("[PAD]", "[BOS]", "[EOS]", "[MASK]", "[CLS]", "[SEP]")
NUM_RESERVED = len(RESERVED)


class Tokenizer(abc.ABC):
    """What the rest of the code knows of a tokenizer.

    Attributes:
      name: kept in checkpoints, so that weights are never used with other tokens.
      pieces: the bytes that every token stands for, none for the reserved ones.
      bytes_per_token: in any usual text, so many bytes for each token that is wanted
        are enough.
    """

    name: str
    pieces: Sequence[bytes]
    bytes_per_token: int

    @abc.abstractmethod
    def encode(self, text: bytes) -> np.ndarray:
        """Returns the int32 tokens of any bytes."""

    @property
    def vocab_size(self) -> int:
        """The number of tokens, reserved ones included."""
        return len(self.pieces)

    def encode_masked(self, text: bytes) -> np.ndarray:
        """Returns the tokens of a text in which each literal [MASK] is one MASK."""
        first, *others = text.split(RESERVED[MASK].encode())
        parts = [self.encode(first)]
        for part in others:
            parts += [np.array([MASK], np.int32), self.encode(part)]
        return np.concatenate(parts)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        """Returns the bytes of tokens; MASK is [MASK], other reserved ones nothing."""
        mark = RESERVED[MASK].encode()
        return b"".join(mark if t == MASK else self.pieces[t] for t in tokens)

    def words(self, tokens: np.ndarray) -> np.ndarray:
        """Returns which word each token is of, counted from 0; -1: none.

        A word is what stands between white space (ASCII), so that all tokenizers find
        the same words in a text. White space and reserved tokens are of no word.
        """
        opens, closes = (edge[tokens] for edge in self._edges)
        inside = self.word_bytes[tokens] > 0
        after_edge = np.concatenate([[True], closes[:-1]])
        starts = inside & (opens | after_edge)
        return np.where(inside, np.cumsum(starts) - 1, -1)

    @functools.cached_property
    def word_bytes(self) -> np.ndarray:
        """The number of bytes of each token that are not white space, [V] int32."""
        return np.array([len(b"".join(p.split())) for p in self.pieces], np.int32)

    @functools.cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether each token begins, and ends, with white space or is reserved."""
        opens = [piece[:1].isspace() or not piece for piece in self.pieces]
        closes = [piece[-1:].isspace() or not piece for piece in self.pieces]
        return np.array(opens), np.array(closes)

    def show(self, token: int) -> str:
        """Returns a token for people: on one line, unprintable bytes in hexadecimal."""
        if token < NUM_RESERVED:
            return RESERVED[token]
        text = self.pieces[token].decode(errors="backslashreplace")
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Bytes(Tokenizer):
    """One token a byte: 6 reserved tokens, then the 256 bytes (released byte model)."""

    name = "bytes"
    pieces = (b"",) * NUM_RESERVED + tuple(bytes([byte]) for byte in range(256))
    bytes_per_token = 1

    def encode(self, text: bytes) -> np.ndarray:
        """Returns one token a byte."""
        return np.frombuffer(text, np.uint8).astype(np.int32) + NUM_RESERVED


class SentencePiece(Tokenizer):
    """The pieces of a model that `train` made.

    Example: `SentencePiece("english.model").encode(b"Hello world")`.
    """

    bytes_per_token = 8  # twice the length of a usual piece of English

    def __init__(self, path: str | os.PathLike[str]):
        """Loads a model file.

        Raises:
          FileNotFoundError: there is none.
          ValueError: it is no SentencePiece model, or not one that `train` made.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is no file; train a tokenizer with python -m "
                "experiments.masked_lm.train_tokenizer, or set data.tokenizer to "
                "'bytes' or to a model file of yours"
            )
        content = path.read_bytes()
        if not content:  # which SentencePiece would take
            raise ValueError(f"{path} is no SentencePiece model: it is empty")
        try:
            model = sentencepiece.SentencePieceProcessor(model_proto=content)
        except RuntimeError as error:
            raise ValueError(f"{path} is no SentencePiece model") from error
        self._model = model
        self._byte_ids = [model.piece_to_id(f"<0x{b:02X}>") for b in range(256)]
        reserved = [model.id_to_piece(i) for i in range(min(6, len(model)))]
        if not all(map(model.is_byte, self._byte_ids)) or reserved != list(RESERVED):
            raise ValueError(
                f"{path} has other reserved tokens than {', '.join(RESERVED)}, or no "
                "pieces for single bytes: train one with python -m "
                "experiments.masked_lm.train_tokenizer"
            )
        digest = hashlib.sha256(content).hexdigest()[:16]
        self.name = f"sentencepiece of {len(model):,} pieces, sha256 {digest}"
        self.pieces = tuple(map(self._piece, range(len(model))))

    def _piece(self, token: int) -> bytes:
        if self._model.is_byte(token):
            return bytes([self._byte_ids.index(token)])
        if self._model.is_control(token) or self._model.is_unknown(token):
            return b""
        return self._model.id_to_piece(token).replace("\u2581", " ").encode()

    def encode(self, text: bytes) -> np.ndarray:
        """Returns the most probable pieces; bytes outside the alphabet one by one."""
        # What is no UTF-8 becomes surrogates, which no valid text has.
        parts = re.split("([\udc80-\udcff]+|\u2581+)", text.decode(errors=_ESCAPE))
        tokens: list[int] = []
        for number, part in enumerate(parts):
            if number % 2:
                raw = part.encode(errors=_ESCAPE)
                tokens.extend(self._byte_ids[byte] for byte in raw)
            else:
                tokens.extend(self._model.encode(part))
        return np.array(tokens, np.int32)


_ESCAPE = "surrogateescape"


def train(
    texts: Iterable[bytes], vocab_size: int, max_lines: int = 10_000_000
) -> bytes:
    """Trains a SentencePiece model (unigram) for `SentencePiece`, and returns its file.

    Nothing is normalised, and characters outside the alphabet are encoded as bytes: any
    text comes back as it was. No piece spans two words.

    Args:
      texts: to learn the pieces from.
      vocab_size: the number of pieces (Perceiver IO: 32,000).
      max_lines: how many lines, drawn at random, are held in memory.

    Raises:
      ValueError: there is too little text for so many pieces.
    """
    file = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(texts),
            model_writer=file,
            vocab_size=vocab_size,
            input_sentence_size=max_lines,
            shuffle_input_sentence=True,
            character_coverage=0.9995,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=NUM_RESERVED,
            pad_piece=RESERVED[PAD],
            bos_piece=RESERVED[BOS],
            eos_piece=RESERVED[EOS],
            control_symbols=list(RESERVED[MASK:]),
            user_defined_symbols=["\n", "\t", "\r", "\v", "\f"],
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        reason = str(error).rpartition("] ")[2].strip() or "there is no text."
        raise ValueError(f"can't train {vocab_size} pieces: {reason}") from error
    return file.getvalue()


def _lines(texts: Iterable[bytes]) -> Iterator[str]:
    for text in texts:
        for line in text.decode(errors="ignore").splitlines():
            if line.strip():
                yield line


def make(name: str) -> Tokenizer:
    """Returns "bytes", or the SentencePiece model of a file; see its errors."""
    return Bytes() if name == Bytes.name else SentencePiece(name)


def pad(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns tokens [length], filled up with PAD, and their mask, true where valid.

    Raises:
      ValueError: there are more tokens than `length`.
    """
    if len(tokens) > length:
        raise ValueError(f"{len(tokens)} tokens do not fit into {length}.")
    padded = np.full(length, PAD, np.int32)
    padded[: len(tokens)] = tokens
    return padded, np.arange(length) < len(tokens)
