"""Images in class folders."""

import logging
import os
import pathlib
from collections.abc import Sequence

from perceiver_jax.data.image.decoding import SUFFIXES
from perceiver_jax.data.sources import Example

logger = logging.getLogger(__name__)

_NAMED = 5  # at most, of what is left out


class FolderSource:
    """Image files in one folder per class: `root/CLASS/IMAGE`.

    The files of a class folder that end as images do (`decoding.SUFFIXES`) are the
    examples; one that does not decode is a corrupt example. Whatever else lies there
    (`root/x.jpg`, `root/CLASS/notes.txt`, `root/CLASS/folder`, a link to nothing) is
    left out, and one warning counts it and names some. Hidden files (`.DS_Store`) are
    passed over.

    An example is `{"image": encoded bytes, "label": int, "name": path}`.

    Attributes:
      class_names: the name of every class id.
      num_classes: their number.
    """

    def __init__(
        self, root: str | os.PathLike[str], class_names: Sequence[str] | None = None
    ):
        """Lists the files.

        Args:
          root: the folder that holds the class folders.
          class_names: the class of every id. An evaluation folder needs those of
            the training folder, because it may lack a class and ids would shift.
            None numbers the folders in sorted order.

        Raises:
          FileNotFoundError: `root` is not a folder.
          ValueError: there are no class folders, one holds no images, or one is
            missing from `class_names`.
        """
        self._root = pathlib.Path(root)
        if not self._root.is_dir():
            raise FileNotFoundError(
                f"{self._root} is not a folder; give one laid out as ROOT/CLASS/IMAGE"
            )
        entries = _visible(self._root)
        folders = [entry.name for entry in entries if entry.is_dir()]
        if not folders:
            raise ValueError(
                f"{self._root} holds no class folders; lay it out as ROOT/CLASS/IMAGE"
            )
        self.class_names = list(folders if class_names is None else class_names)
        self.num_classes = len(self.class_names)
        unknown = [name for name in folders if name not in self.class_names]
        if unknown:
            raise ValueError(
                f"{self._root} has folders that are not among the"
                f" {self.num_classes} known classes: {', '.join(unknown[:5])}; rename"
                " or remove them, or train with them"
            )
        left_out = [entry.path for entry in entries if not entry.is_dir()]
        self._files: list[tuple[int, str]] = []
        for folder in folders:
            images, others = _list_images(self._root / folder)
            label = self.class_names.index(folder)
            self._files += [(label, name) for name in images]
            left_out += others
        if left_out:
            _warn(self._root, left_out)

    def __len__(self) -> int:
        """The number of files."""
        return len(self._files)

    def __getitem__(self, index: int) -> Example:
        """Reads one file."""
        name = self.name(index)
        image = pathlib.Path(name).read_bytes()
        return {"image": image, "label": self._files[index][0], "name": name}

    def name(self, index: int) -> str:
        """The path of a file."""
        label, file = self._files[index]
        return str(self._root / self.class_names[label] / file)


def _list_images(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Returns the names of a class folder's images, and the paths of all else."""
    images, others = [], []
    for entry in _visible(folder):
        if entry.is_file() and entry.name.lower().endswith(SUFFIXES):
            images.append(entry.name)
        else:
            others.append(entry.path)
    if not images:
        beside = f", but {others[0]}" if others else ""
        raise ValueError(
            f"{folder} holds no images ({', '.join(SUFFIXES)}){beside}; add some, or"
            " remove it"
        )
    return images, others


def _visible(folder: pathlib.Path) -> list[os.DirEntry[str]]:
    """Returns what a folder holds but hidden files, sorted by name."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: entry.name)


def _warn(root: pathlib.Path, left_out: Sequence[str]) -> None:
    named = ", ".join(left_out[:_NAMED])
    more = len(left_out) - _NAMED
    logger.warning(
        "%s: left out %d: %s%s; an image is a file of a class folder that ends in %s",
        root,
        len(left_out),
        named,
        f" and {more} more" if more > 0 else "",
        ", ".join(SUFFIXES),
    )
