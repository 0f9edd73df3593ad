"""Checks of what a config says, the same for all tasks."""

from collections.abc import Iterable, Sequence


def check_known(field: str, word: str, known: Iterable[str]) -> None:
    """Raises ValueError, with what there is, if a field's word is not known."""
    names = list(known)
    if word not in names:
        raise ValueError(f"{field}='{word}' is unknown: use {', '.join(names)}.")


def check_size(field: str, size: Sequence[int]) -> None:
    """Raises ValueError if a field is no height and width in pixels."""
    if len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"{field}={tuple(size)} must be a height and a width, such as (64, 64)."
        )
