"""Text as bytes: 6 reserved tokens, then the 256 bytes (released byte model)."""

import re
from collections.abc import Sequence

import numpy as np

PAD, BOS, EOS, MASK, CLS, SEP = range(6)
NUM_RESERVED = 6
VOCAB_SIZE = NUM_RESERVED + 256

_MARK = b"[MASK]"


def encode(text: bytes) -> np.ndarray:
    """Returns one int32 token a byte; each literal [MASK] is one MASK token."""
    tokens: list[int] = []
    for number, part in enumerate(re.split(re.escape(_MARK), text)):
        if number:
            tokens.append(MASK)
        tokens.extend(byte + NUM_RESERVED for byte in part)
    return np.array(tokens, np.int32)


def decode(tokens: Sequence[int] | np.ndarray) -> bytes:
    """Returns the bytes of tokens; reserved ones are left out, MASK is [MASK]."""
    parts = (
        _MARK if token == MASK else bytes([token - NUM_RESERVED])
        for token in tokens
        if token == MASK or token >= NUM_RESERVED
    )
    return b"".join(parts)


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


def character(token: int) -> str:
    """Returns a token for people: printable ASCII as it is, others in hexadecimal."""
    if token < NUM_RESERVED:
        return f"[{('PAD', 'BOS', 'EOS', 'MASK', 'CLS', 'SEP')[token]}]"
    byte = token - NUM_RESERVED
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
