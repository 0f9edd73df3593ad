"""Images in class folders."""

import os
import pathlib
from collections.abc import Sequence

from perceiver_jax.data.sources import Example


class FolderSource:
    """Image files in one folder per class: `root/CLASS/IMAGE`.

    Every regular file in a class folder is an example, whatever its name ends
    with: a file that is no image must be named when it fails to decode, not
    vanish from the count. Hidden files (`.DS_Store`) are left out.

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
          ValueError: there are no class folders, one is empty, or one is missing
            from `class_names`.
        """
        self._root = pathlib.Path(root)
        if not self._root.is_dir():
            raise FileNotFoundError(
                f"{self._root} is not a folder; give one laid out as ROOT/CLASS/IMAGE"
            )
        folders = sorted(entry.name for entry in _visible(self._root) if entry.is_dir())
        if not folders:
            raise ValueError(
                f"{self._root} holds no class folders; lay it out as ROOT/CLASS/IMAGE"
            )
        self.class_names = list(folders if class_names is None else class_names)
        self.num_classes = len(self.class_names)
        unknown = sorted(set(folders) - set(self.class_names))
        if unknown:
            raise ValueError(
                f"{self._root} has folders that are not among the"
                f" {self.num_classes} known classes: {', '.join(unknown[:5])}; rename"
                " or remove them, or train with them"
            )
        self._files = [file for folder in folders for file in self._list(folder)]

    def _list(self, folder: str) -> list[tuple[int, str]]:
        label = self.class_names.index(folder)
        directory = self._root / folder
        names = sorted(entry.name for entry in _visible(directory) if entry.is_file())
        if not names:
            raise ValueError(f"{directory} holds no files; add images or remove it")
        return [(label, name) for name in names]

    def __len__(self) -> int:
        """The number of files."""
        return len(self._files)

    def __getitem__(self, index: int) -> Example:
        """Reads one file."""
        label, name = self._files[index]
        path = self._root / self.class_names[label] / name
        return {"image": path.read_bytes(), "label": label, "name": str(path)}


def _visible(folder: pathlib.Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]
