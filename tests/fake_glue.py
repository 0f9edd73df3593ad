"""A few learnable examples in the files and in the TFDS features of the real GLUE.

The class of an example, or its score, is told by one word of its last text.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

WORDS = ("river", "stone", "cloud", "flame", "grass")  # one for every label

_IDS = ("0", "1")
_SCORES = ("0.000", "1.250", "2.500", "3.750", "5.000")
_TWO_WAY = ("entailment", "not_entailment")
_THREE_WAY = ("entailment", "neutral", "contradiction")


@dataclasses.dataclass
class _Files:
    """The official files of a task; `{0}` and `{1}` in a row are its texts."""

    folder: str
    labels: tuple[str, ...]
    header: str
    row: str
    test_header: str
    test_row: str
    sections: tuple[str, ...] = ("",)


_FILES = {
    "cola": _Files(
        "CoLA",
        _IDS,
        "",
        "gj04\t{label}\t*\t{0}",
        "index\tsentence",
        "{index}\t{0}",
    ),
    "sst2": _Files(
        "SST-2",
        _IDS,
        "sentence\tlabel",
        "{0} \t{label}",
        "index\tsentence",
        "{index}\t{0}",
    ),
    "mrpc": _Files(
        "MRPC",
        _IDS,
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        "{label}\t{id}1\t{id}2\t{0}\t{1}",
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String",
        "{index}\t{id}1\t{id}2\t{0}\t{1}",
    ),
    "qqp": _Files(
        "QQP",
        _IDS,
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        "{id}\t{id}1\t{id}2\t{0}\t{1}\t{label}",
        "id\tquestion1\tquestion2",
        "{index}\t{0}\t{1}",
    ),
    "stsb": _Files(
        "STS-B",
        _SCORES,
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\t"
        "sentence2\tscore",
        "{index}\tmain-news\tMSRpar\t2012test\t{id}\tnone\tnone\t{0}\t{1}\t{label}",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\t"
        "sentence2",
        "{index}\tmain-news\tMSRpar\t2012test\t{id}\tnone\tnone\t{0}\t{1}",
    ),
    "mnli": _Files(
        "MNLI",
        _THREE_WAY,
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
        "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
        "sentence2\tlabel1\tgold_label",
        "{index}\t{id}\t{id}n\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t{0}\t{1}\t"
        "neutral\t{label}",
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
        "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
        "sentence2",
        "{index}\t{id}\t{id}n\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t{0}\t{1}",
        ("_matched", "_mismatched"),
    ),
    "qnli": _Files(
        "QNLI",
        _TWO_WAY,
        "index\tquestion\tsentence\tlabel",
        "{index}\t{0}\t{1}\t{label}",
        "index\tquestion\tsentence",
        "{index}\t{0}\t{1}",
    ),
    "rte": _Files(
        "RTE",
        _TWO_WAY,
        "index\tsentence1\tsentence2\tlabel",
        "{index}\t{0}\t{1}\t{label}",
        "index\tsentence1\tsentence2",
        "{index}\t{0}\t{1}",
    ),
}
TASKS = tuple(_FILES)


def write_tsv(
    folder: str | pathlib.Path,
    tasks: Sequence[str] = TASKS,
    num_train: int = 12,
    num_eval: int = 5,
) -> None:
    """Writes the official download: `folder`/CoLA/train.tsv and so on.

    QQP's training file has one row more, which lacks fields as some of the real one.
    """
    for task in tasks:
        files = _FILES[task]
        directory = pathlib.Path(folder, files.folder)
        directory.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        rows = _rows(files, files.row, num_train, rng)
        if task == "qqp":
            rows.insert(1, "the end of a question\tand no other")
        _write(directory / "train.tsv", files.header, rows)
        for section in files.sections:
            rows = _rows(files, files.row, num_eval, rng)
            _write(directory / f"dev{section}.tsv", files.header, rows)
            rows = _rows(files, files.test_row, num_eval, rng)
            _write(directory / f"test{section}.tsv", files.test_header, rows)


def _rows(files: _Files, row: str, count: int, rng: np.random.Generator) -> list[str]:
    rows = []
    for index in range(count):
        label = index % len(files.labels)
        # A quote is a character like others: official files do not quote fields.
        premise, hypothesis = (
            f'"{word} of the café {rng.integers(1_000_000)}'
            for word in ("place", WORDS[label])
        )
        texts = (premise, hypothesis) if "{1}" in row else (hypothesis,)
        identity = rng.integers(1_000_000)
        rows.append(
            row.format(*texts, label=files.labels[label], index=index, id=identity)
        )
    return rows


def _write(path: pathlib.Path, header: str, rows: Sequence[str]) -> None:
    lines = [header, *rows] if header else rows
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="")


def write_tfds(
    data_dir: str | pathlib.Path,
    tasks: Sequence[str] = TASKS,
    num_train: int = 12,
    num_eval: int = 5,
) -> None:
    """Prepares glue/cola and so on in array_record, from the files of `write_tsv`."""
    # Not at the top: a test of a program borrows `downloads`, and must not be given
    # what the program itself should import.
    import tensorflow_datasets.text  # noqa: F401  makes glue known

    with tempfile.TemporaryDirectory() as folder:
        write_tsv(folder, tasks, num_train, num_eval)
        with downloads(folder):
            for task in tasks:
                tfds.builder(
                    f"glue/{task}", data_dir=data_dir, file_format="array_record"
                ).download_and_prepare()


@contextlib.contextmanager
def downloads(folder: str | pathlib.Path) -> Iterator[None]:
    """Makes TFDS find `folder` where it would download and extract an archive."""

    def download(urls: dict[str, str]) -> dict[str, pathlib.Path]:
        assert set(urls) == {"dev_ids", "train", "test"}  # MRPC's original files
        return _original_mrpc(pathlib.Path(folder, "MRPC"))

    manager = mock.Mock(download=download, downloaded_size=0)
    manager.download_and_extract.return_value = str(folder)
    with mock.patch.object(
        tfds.core.DatasetBuilder, "_make_download_manager", return_value=manager
    ):
        yield


def _original_mrpc(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files of Microsoft, where `dev_ids` tells which of `train` are validation."""
    header, *validation = (folder / "dev.tsv").read_text("utf-8").splitlines()
    train = (folder / "train.tsv").read_text("utf-8").splitlines()[1:]
    found = {name: folder / f"original_{name}" for name in ("dev_ids", "train")}
    _write(found["train"], header, train + validation)
    ids = ["\t".join(row.split("\t")[1:3]) for row in validation]
    _write(found["dev_ids"], "", ids)
    return {**found, "test": folder / "test.tsv"}
