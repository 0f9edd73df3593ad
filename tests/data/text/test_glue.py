"""GLUE: its examples from TFDS and from the official files, numbers, submissions."""

import logging
import pathlib
import pickle

import fake_glue
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tensorflow_datasets.text  # noqa: F401  makes glue known

from perceiver_jax.data.text import glue
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


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks_are_those_of_tfds(task, tmp_path):
    info = tfds.builder(f"glue/{task.name}", data_dir=tmp_path).info
    assert set(task.fields) == set(info.features) - {"label", "idx"}
    assert task.class_names == tuple(getattr(info.features["label"], "names", ()))


@pytest.mark.parametrize(("task", "split"), CASES)
def test_official_files_and_tfds_give_the_same_examples(tsv, prepared, task, split):
    from_tsv = glue.tsv_source(task, split, tsv)
    from_tfds = glue.tfds_source(task, split, prepared)
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
    train = glue.tsv_source(task, "train", tsv)
    for example in pickle.loads(pickle.dumps(train)):
        assert len(example["texts"]) == len(task.fields)
        *_, told = example["texts"]
        number = fake_glue.WORDS.index(told.decode().split()[0].strip('"'))
        if task.class_names:
            assert example["label"] == number and isinstance(example["label"], int)
        else:
            assert example["label"] == 1.25 * number
    for split in task.test_splits:
        test = glue.tsv_source(task, split, tsv)
        assert [example["label"] for example in test] == [None] * 5
        assert [example["index"] for example in test] == list(range(5))


def test_a_row_that_lacks_fields_is_left_out_and_its_number_stays_free(tsv, caplog):
    with caplog.at_level(logging.WARNING):
        source = glue.tsv_source(TASKS["qqp"], "train", tsv)
    assert "train.tsv: left out 1 rows that lack a field" in caplog.text
    assert [example["index"] for example in source] == [0, *range(2, 13)]
    path = pathlib.Path(tsv, "QQP", "train.tsv")
    assert source[1]["name"] == f"{path} line 4"


def test_examples_say_where_they_are_from(prepared):
    source = glue.tfds_source(TASKS["rte"], "train[:2]", prepared)
    copy = pickle.loads(pickle.dumps(source))
    assert [example["name"] for example in copy] == [
        "glue/rte train[:2] example 0",
        "glue/rte train[:2] example 1",
    ]


def test_what_is_wrong_with_a_name_or_a_folder_is_said(tsv, prepared, tmp_path):
    with pytest.raises(
        ValueError, match="'sts-b' is none of the GLUE .* did you mean stsb"
    ):
        glue.find_task("sts-b")
    with pytest.raises(
        ValueError, match="'wnli' is none of .* cola, sst2, mrpc, qqp, stsb"
    ):
        glue.find_task("wnli")
    assert glue.find_task("mnli") is TASKS["mnli"]
    with pytest.raises(ValueError, match="mnli has no split 'test', but train, valid"):
        glue.tsv_source(TASKS["mnli"], "test", tsv)
    with pytest.raises(ValueError, match="glue/mnli has no split 'test', but"):
        glue.tfds_source(TASKS["mnli"], "test", prepared)
    with pytest.raises(
        FileNotFoundError, match="CoLA/dev.tsv is missing; unpack .* of CoLA"
    ):
        glue.tsv_source(TASKS["cola"], "validation", tmp_path)
    with pytest.raises(
        FileNotFoundError, match="prepare_tfds.py --name=glue/cola --data_dir="
    ):
        glue.tfds_source(TASKS["cola"], "validation", str(tmp_path))


@pytest.mark.parametrize(
    ("task", "split", "content", "message"),
    [
        ("cola", "train", "a\tyes\t\tb\n", "line 1 has the label 'yes', not 0, 1"),
        ("cola", "train", "", "holds no examples; download it again"),
        ("stsb", "train", "sentence1\tsentence2\tscore\na\tb\tc\n", "not a number"),
        ("rte", "train", "sentence1\tlabel\na\tb\n", "no column sentence2, but sent"),
        ("rte", "test", "", "no column sentence1 and sentence2"),
        ("rte", "test", "sentence1\tsentence2\na\tb\nc\n", "line 3 lacks a field"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, task, split, content, message):
    path = tmp_path / TASKS[task].folder / f"{split}.tsv"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        glue.tsv_source(TASKS[task], split, tmp_path)


# Perceiver IO (arXiv 2107.14795), Table 14: CoLA, MNLI-m, MNLI-mm, MRPC, QNLI, QQP,
# RTE, SST-2, STS-B, and the average.
TABLE_14 = [
    [52.1, 84.6, 83.4, 84.8, 90.5, 89.2, 66.4, 93.5, 87.1, 80.95],
    [50.28, 85.56, 85.68, 85.75, 92.67, 91.05, 61.72, 93.98, 88.04, 81.14],
    [47.11, 84.53, 85.03, 87.25, 92.12, 90.22, 65.23, 94.38, 88.18, 81.16],
    [20.06, 74.11, 75.55, 77.0, 85.75, 88.23, 53.91, 89.0, 82.84, 71.45],
    [50.19, 83.22, 83.89, 87.24, 91.71, 90.12, 64.84, 93.17, 86.81, 80.95],
    [52.54, 84.13, 84.91, 86.03, 92.06, 90.46, 66.54, 93.98, 87.93, 81.76],
    [47.43, 82.03, 82.65, 89.58, 90.18, 89.2, 82.03, 93.17, 77.95, 81.49],
    [49.06, 82.14, 82.64, 89.84, 90.53, 89.4, 79.69, 93.17, 80.02, 81.76],
    [47.88, 82.05, 82.77, 90.36, 90.37, 89.49, 80.08, 93.75, 79.95, 81.79],
]


def scores_of(row):
    cola, matched, mismatched, *others = np.array(row[:-1]) / 100
    names = ("mrpc", "qnli", "qqp", "rte", "sst2", "stsb")
    scores = {name: [score] for name, score in zip(names, others)}
    return {"cola": [cola], "mnli": [matched, mismatched], **scores}


@pytest.mark.parametrize("row", TABLE_14)
def test_average_is_that_of_the_paper(row):
    assert glue.average(scores_of(row)) == pytest.approx(row[-1], abs=0.01)


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
    path = glue.write_predictions(
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
        glue.write_predictions(
            tmp_path, TASKS[task], split, indices, predictions, num_examples=2
        )
    assert not list(tmp_path.iterdir())
