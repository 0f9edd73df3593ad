"""Checks of what a config says, the same for all tasks."""

from collections.abc import Iterable


def check_known(field: str, word: str, known: Iterable[str]) -> None:
    """Raises ValueError, with what there is, if a field's word is not known."""
    names = list(known)
    if word not in names:
        raise ValueError(f"{field}='{word}' is unknown: use {', '.join(names)}.")
