"""Makes class_names.txt, ImageNet's classes in words, and the licence of the words.

    apt-get install wordnet-base
    python -m experiments.imagenet.make_class_names --wordnet=/usr/share/wordnet

A WordNet id is an "n" and the offset of a synset in WordNet 3.0's file data.noun. The
ids of the classes are those that tensorflow-datasets has, in order.
"""

import pathlib
import re
from collections.abc import Sequence

from absl import flags

from experiments import program
from experiments.imagenet import class_names

_WORDNET = flags.DEFINE_string(
    "wordnet", "/usr/share/wordnet", "Folder with data.noun of WordNet 3.0."
)

LICENSE = class_names.FILE.with_name("WORDNET_LICENSE")


def read_nouns(path: pathlib.Path) -> tuple[dict[str, str], str]:
    """Returns the words of every noun by WordNet id, and the licence above them.

    A line is "offset file type count word number word number ...", with the count in
    hexadecimal and underscores for spaces; see the manual page wndb(5WN).

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is not of WordNet 3.0, where the offsets are the ids.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}: install Debian's wordnet-base and say its folder, "
            "--wordnet=/usr/share/wordnet."
        )
    nouns, licence = {}, []
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("  "):
            licence.append(re.sub(r"^ +\d+ ", "", line).rstrip())
            continue
        offset, _, _, count, *rest = line.split(" ")
        words = rest[: 2 * int(count, 16) : 2]
        nouns[f"n{offset}"] = ", ".join(word.replace("_", " ") for word in words)
    text = "\n".join(licence) + "\n"
    if "WordNet 3.0" not in text:
        raise ValueError(
            f"{path} is not of WordNet 3.0: other versions have other ids."
        )
    return nouns, text


def make_lines(ids: Sequence[str], nouns: dict[str, str]) -> str:
    """Returns the text of class_names.txt.

    Raises:
      ValueError: ids that are no nouns, all of them.
    """
    if unknown := [name for name in ids if name not in nouns]:
        raise ValueError(f"WordNet has no noun {', '.join(unknown)}.")
    return "".join(f"{name}\t{nouns[name]}\n" for name in ids)


def read_ids() -> list[str]:
    """Returns the WordNet ids of the classes in order, as tensorflow-datasets does."""
    import tensorflow_datasets as tfds  # takes seconds

    return tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()


def main(argv: Sequence[str]) -> None:
    """Writes the two files."""
    del argv
    nouns, licence = read_nouns(pathlib.Path(_WORDNET.value) / "data.noun")
    lines = make_lines(read_ids(), nouns)
    class_names.FILE.write_text(lines, encoding="utf-8")
    LICENSE.write_text(licence, encoding="utf-8")
    print(f"{class_names.FILE}: {len(lines.splitlines())} classes")


if __name__ == "__main__":
    program.run(main)
