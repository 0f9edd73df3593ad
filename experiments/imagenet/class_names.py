"""What ImageNet's classes are called, by the nouns of WordNet 3.0.

class_names.txt has a line for each class, in their order: its WordNet id, a tab, and
the words for it. `python -m experiments.imagenet.make_class_names` made it; WordNet's
licence stands beside it, in WORDNET_LICENSE.
"""

import functools
import pathlib
from collections.abc import Sequence

FILE = pathlib.Path(__file__).parent / "class_names.txt"


def imagenet_names() -> tuple[str, ...]:
    """Returns the thousand names, such as "tench, Tinca tinca", in order of class."""
    return tuple(_by_id().values())


def readable(class_names: Sequence[str]) -> list[str]:
    """Returns WordNet ids of ImageNet's classes as names, and other names as they are.

    TFDS's imagenet2012 and ILSVRC's folders name a class by its id, "n01440764".
    """
    return [_by_id().get(name, name) for name in class_names]


def shorten(name: str) -> str:
    """Returns the first word for a class, for drawings: "tench"."""
    return name.split(", ")[0]


@functools.cache
def _by_id() -> dict[str, str]:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)
