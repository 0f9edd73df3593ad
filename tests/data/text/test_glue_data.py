"""GLUE's examples from TFDS and from the official files, and submissions."""

import logging
import pathlib
import pickle

import fake_glue
import numpy as np
import pytest

from perceiver_jax.data.text import glue_data
from perceiver_jax.data.text.glue import TASKS

CASES = [
    (task, split)
    for task in TASKS.values()
    for split in ("train", *task.validation_splits, *task.test_splits)
]


@pytest.fixture(scope="module")
def tsv(tmp_path_factory):
    """The official download, small."""
    folder = tmp_path_factory.mktemp("glue_tsv")
    fake_glue.write_tsv(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir with the same examples, read and prepared by TFDS itself."""
    data_dir = tmp_path_factory.mktemp("glue_tfds")
    fake_glue.write_tfds(data_dir)
    return str(data_dir)


@pytest.mark.parametrize(("task", "split"), CASES)
def test_official_files_and_tfds_give_the_same_examples(tsv, prepared, task, split):
    from_tsv = glue_data.tsv_source(task, split, tsv)
    from_tfds = glue_data.tfds_source(task, split, prepared)
    assert len(from_tsv) == len(from_tfds) == (12 if split == "train" else 5)
    # MRPC's validation rows are a part of the training file that TFDS reads.
    compared = ["texts", "label", "index"]
    if (task.name, split) == ("mrpc", "validation"):
        compared.remove("index")

    def rows(source):
        return sorted(repr([example[key] for key in compared]) for example in source)

    assert rows(from_tsv) == rows(from_tfds)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_examples_have_the_texts_and_labels_of_the_files(tsv, task):
    train = glue_data.tsv_source(task, "train", tsv)
    for example in pickle.loads(pickle.dumps(train)):
        assert len(example["texts"]) == len(task.fields)
        *_, told = example["texts"]
        number = fake_glue.WORDS.index(told.decode().split()[0].strip('"'))
        if task.class_names:
            assert example["label"] == number and isinstance(example["label"], int)
        else:
            assert example["label"] == 1.25 * number
    for split in task.test_splits:
        test = glue_data.tsv_source(task, split, tsv)
        assert [example["label"] for example in test] == [None] * 5
        assert [example["index"] for example in test] == list(range(5))


def test_a_row_that_lacks_fields_is_left_out_and_its_number_stays_free(tsv, caplog):
    with caplog.at_level(logging.WARNING):
        source = glue_data.tsv_source(TASKS["qqp"], "train", tsv)
    assert "train.tsv: left out 1 rows that lack a field" in caplog.text
    assert [example["index"] for example in source] == [0, *range(2, 13)]
    path = pathlib.Path(tsv, "QQP", "train.tsv")
    assert source[1]["name"] == f"{path} line 4"


def test_examples_say_where_they_are_from(prepared):
    source = glue_data.tfds_source(TASKS["rte"], "train[:2]", prepared)
    copy = pickle.loads(pickle.dumps(source))
    assert [example["name"] for example in copy] == [
        "glue/rte train[:2] example 0",
        "glue/rte train[:2] example 1",
    ]


def test_what_is_wrong_with_a_split_or_a_folder_is_said(tsv, prepared, tmp_path):
    with pytest.raises(ValueError, match="mnli has no split 'test', but train, valid"):
        glue_data.tsv_source(TASKS["mnli"], "test", tsv)
    with pytest.raises(ValueError, match="glue/mnli has no split 'test', but"):
        glue_data.tfds_source(TASKS["mnli"], "test", prepared)
    with pytest.raises(
        FileNotFoundError, match="CoLA/dev.tsv is missing; unpack .* of CoLA"
    ):
        glue_data.tsv_source(TASKS["cola"], "validation", tmp_path)
    with pytest.raises(
        FileNotFoundError, match="prepare_tfds --name=glue/cola --data_dir="
    ):
        glue_data.tfds_source(TASKS["cola"], "validation", str(tmp_path))


@pytest.mark.parametrize(
    ("task", "split", "content", "message"),
    [
        ("cola", "train", "a\tyes\t\tb\n", "line 1 has the label 'yes', not 0, 1"),
        ("cola", "train", "", "is empty; download it again"),
        ("stsb", "train", "sentence1\tsentence2\tscore\na\tb\tc\n", "not a number"),
        ("rte", "train", "sentence1\tlabel\na\tb\n", "no column sentence2, but sent"),
        ("rte", "test", "\n", "is empty; download it again"),
        ("rte", "test", "index\ta\n", "no column sentence1 and sentence2"),
        ("rte", "test", "sentence1\tsentence2\n", "holds no examples; download it"),
        ("rte", "test", "sentence1\tsentence2\na\tb\nc\n", "line 3 lacks a field"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, task, split, content, message):
    path = tmp_path / TASKS[task].folder / f"{split}.tsv"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        glue_data.tsv_source(TASKS[task], split, tmp_path)


@pytest.mark.parametrize(
    ("task", "split", "predictions", "file", "written"),
    [
        ("cola", "test", [1, 0, 0], "CoLA.tsv", "0 1 0"),
        ("sst2", "test", [1, 0, 0], "SST-2.tsv", "0 1 0"),
        ("mrpc", "test", [1, 0, 0], "MRPC.tsv", "0 1 0"),
        ("qqp", "test", [1, 0, 0], "QQP.tsv", "0 1 0"),
        ("stsb", "test", [5.7, -0.2, 1.23456], "STS-B.tsv", "1.235 5.000 0.000"),
        (
            *("mnli", "test_matched", [0, 1, 2], "MNLI-m.tsv"),
            "contradiction entailment neutral",
        ),
        (
            *("mnli", "test_mismatched", [2, 1, 0], "MNLI-mm.tsv"),
            "entailment contradiction neutral",
        ),
        ("qnli", "test", [1, 0, 0], "QNLI.tsv", "entailment not_entailment entailment"),
        ("rte", "test", [1, 0, 0], "RTE.tsv", "entailment not_entailment entailment"),
    ],
)
def test_submissions_are_in_the_order_and_words_of_the_server(
    tmp_path, task, split, predictions, file, written
):
    path = glue_data.write_predictions(
        *(tmp_path / "new", TASKS[task], split),
        *(np.array([1, 2, 0]), np.array(predictions), 3),
    )
    assert path == tmp_path / "new" / file
    rows = [f"{index}\t{label}\n" for index, label in enumerate(written.split())]
    assert path.read_text() == "index\tprediction\n" + "".join(rows)


@pytest.mark.parametrize(
    ("task", "split", "indices", "predictions", "message"),
    [
        ("rte", "validation", [0, 1], [0, 1], "'validation' is no test split of rte"),
        ("rte", "test", [0], [0], "1 predictions of 1 examples are not one of each of"),
        ("rte", "test", [0, 0], [0, 1], "2 predictions of 1 examples"),
        ("rte", "test", [0, 2], [0, 1], "2 predictions of 2 examples"),
        ("rte", "test", [0, 1], [0, 1, 1], "3 predictions of 2 examples"),
        ("rte", "test", [0, 1], [0, 2], r"class ids below 2, got \[0 2\]"),
        ("rte", "test", [0, 1], [0, -1], r"class ids below 2, got \[-1  0\]"),
        ("stsb", "test", [0, 1], [0, np.nan], "stsb are not all finite"),
    ],
)
def test_a_wrong_submission_is_not_written(
    tmp_path, task, split, indices, predictions, message
):
    indices, predictions = np.array(indices), np.array(predictions)
    with pytest.raises(ValueError, match=message):
        glue_data.write_predictions(
            tmp_path, TASKS[task], split, indices, predictions, num_examples=2
        )
    assert not list(tmp_path.iterdir())
