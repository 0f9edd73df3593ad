"""Examples of datasets that `scripts.prepare_tfds` prepared.

TensorFlow is not needed: TFDS reads array_record files without it.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_jax import extras
from perceiver_jax.data.sources import Example

# Its submodule makes glue, c4 and others known.
tfds = extras.Library("tensorflow_datasets", "text", extra="tfds")


class ImageSource:
    """Labelled images of a TFDS split; see `image_source`.

    An example is `{"image": encoded bytes, "label": int, "name": str}`.

    Attributes:
      class_names: the name of every class id.
      num_classes: their number.
    """

    def __init__(self, examples: Any, class_names: Sequence[str], title: str):
        """Wraps `examples`, a TFDS data source that does not decode images."""
        self._examples = examples
        self._title = title
        self.class_names = list(class_names)
        self.num_classes = len(self.class_names)

    def __len__(self) -> int:
        """The number of examples in the split."""
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """Reads one record."""
        index = range(len(self))[index]  # IndexError where TFDS raises ValueError
        example = self._examples[index]
        name = self.name(index)
        if "file_name" in example:
            name += f" ({example['file_name'].decode()})"
        label = int(example["label"])
        return {"image": example["image"], "label": label, "name": name}

    def name(self, index: int) -> str:
        """What to call a record."""
        return f"{self._title} example {index}"


class TextSource:
    """Texts of a TFDS split; see `text_source`.

    An example is `{"text": bytes, "name": str}`.
    """

    def __init__(self, examples: Any, title: str):
        """Wraps `examples`, a TFDS data source with a feature `text`."""
        self._examples = examples
        self._title = title

    def __len__(self) -> int:
        """The number of examples in the split."""
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """Reads one record."""
        index = range(len(self))[index]  # IndexError where TFDS raises ValueError
        text = self._examples[index]["text"]
        return {"text": text, "name": self.name(index)}

    def name(self, index: int) -> str:
        """What to call a record."""
        return f"{self._title} example {index}"


def image_source(name: str, split: str, data_dir: str | None = None) -> ImageSource:
    """Opens a dataset for image classification; arguments as in `open_split`.

    Raises:
      FileNotFoundError, ValueError: as `open_split`; or the dataset has no features
        `image` and `label` (a class).
    """
    examples, features = open_split(name, split, data_dir)
    class_names = getattr(features.get("label"), "names", None)
    if "image" not in features or class_names is None:
        raise ValueError(
            f"{name} needs features image and label (a class), has {list(features)}"
        )
    return ImageSource(examples, class_names, f"{name} {split}")


def text_source(name: str, split: str, data_dir: str | None = None) -> TextSource:
    """Opens a dataset of texts, such as "c4/en"; arguments as in `open_split`.

    Raises:
      FileNotFoundError, ValueError: as `open_split`; or the dataset has no feature
        `text`.
    """
    examples, features = open_split(name, split, data_dir)
    if "text" not in features:
        raise ValueError(f"{name} needs a feature text, has {list(features)}")
    return TextSource(examples, f"{name} {split}")


def open_split(
    name: str, split: str, data_dir: str | None = None
) -> tuple[Any, Mapping[str, Any]]:
    """Opens a split of a prepared dataset.

    Args:
      name: a TFDS name such as "imagenet2012", "imagenet2012:5.1.0" or "glue/cola".
      split: a TFDS split such as "validation" or "train[:10000]".
      data_dir: where datasets are prepared; None is TFDS's own default.

    Returns:
      The examples by index (a TFDS data source), each a dict of its features: images
      encoded, texts as bytes; and the TFDS feature of every name.

    Raises:
      FileNotFoundError: the dataset is not prepared in `data_dir`, or in another
        file format. The message has the command that prepares it.
      ValueError: the name or the split is unknown.
    """
    builder = make_builder(name, data_dir)
    prepared = builder.info.available_file_formats() if builder.is_prepared() else ()
    formats = sorted(file_format.value for file_format in prepared)
    if not formats:
        raise FileNotFoundError(
            f"{builder.data_dir} is missing; prepare it:"
            f"\n{_prepare_command(builder, name, data_dir)}"
        )
    if "array_record" not in formats:
        raise FileNotFoundError(
            f"{builder.data_dir} is {' and '.join(formats)}, not array_record; prepare"
            f" it elsewhere:\n{_prepare_command(builder, name, 'OTHER_DIR')}"
        )

    features = dict(builder.info.features.items())
    encoded = {
        key: tfds.decode.SkipDecoding()
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    }
    try:
        examples = builder.as_data_source(
            split, decoders=encoded, file_format="array_record"
        )
    except ValueError as error:
        raise ValueError(
            f"{name} has no split {split!r}, but {', '.join(builder.info.splits)}"
        ) from error
    return examples, features


def make_builder(name: str, data_dir: str | None = None, **options: Any) -> Any:
    """Returns what TFDS prepares and opens a dataset with.

    Raises:
      ValueError: the name is unknown. TFDS would list all that it knows.
    """
    try:
        return tfds.builder(name, data_dir=data_dir, **options)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(
            name, tfds.list_builders(with_community_datasets=False)
        )
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"TFDS knows no dataset {name!r}{hint}") from error


def _prepare_command(builder: Any, name: str, data_dir: str | None) -> str:
    command = f"python -m scripts.prepare_tfds --name={name}"
    if data_dir is not None:
        command += f" --data_dir={data_dir}"
    manual = getattr(builder, "MANUAL_DOWNLOAD_INSTRUCTIONS", None)
    if manual:
        command += f" --manual_dir=DIR\nwhere {' '.join(manual.split())}"
    return command
