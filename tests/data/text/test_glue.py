"""GLUE's tasks and their average."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tensorflow_datasets.text  # noqa: F401  makes glue known

from perceiver_jax.data.text import glue
from perceiver_jax.data.text.glue import TASKS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks_are_those_of_tfds(task, tmp_path):
    info = tfds.builder(f"glue/{task.name}", data_dir=tmp_path).info
    assert set(task.fields) == set(info.features) - {"label", "idx"}
    assert task.class_names == tuple(getattr(info.features["label"], "names", ()))


def test_a_wrong_name_is_told_the_names_that_there_are():
    with pytest.raises(
        ValueError, match="'sts-b' is none of the GLUE .* did you mean stsb"
    ):
        glue.find_task("sts-b")
    with pytest.raises(
        ValueError, match="'wnli' is none of .* cola, sst2, mrpc, qqp, stsb"
    ):
        glue.find_task("wnli")
    assert glue.find_task("mnli") is TASKS["mnli"]


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
