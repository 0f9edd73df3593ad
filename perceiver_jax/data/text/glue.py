"""The GLUE benchmark without WNLI, as in Perceiver IO: its tasks and their average.

Wang et al., GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language
Understanding, 2019.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class GlueTask:
    """One task of the benchmark.

    Attributes:
      name: as in TFDS, "cola" of "glue/cola".
      folder: of the official download.
      fields: the one or two texts in TFDS.
      columns: the same texts in the official files.
      label_column: of the official files.
      class_names: the name of every class id, as in TFDS; none for a score.
      labels: how official files and the server write every class id.
      metrics: names in perceiver_jax/engine/scores.py; the first counts in the average.
      sections: endings of the evaluation splits; MNLI has two of each.
    """

    name: str
    folder: str
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    label_column: str
    class_names: tuple[str, ...]
    labels: tuple[str, ...] = ("0", "1")
    metrics: tuple[str, ...] = ("accuracy",)
    sections: tuple[str, ...] = ("",)

    @property
    def validation_splits(self) -> tuple[str, ...]:
        """The splits that the paper's numbers are from."""
        return tuple(f"validation{section}" for section in self.sections)

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The splits that the server wants predictions of; their labels are hidden."""
        return tuple(f"test{section}" for section in self.sections)


_ENTAILMENT = ("entailment", "neutral", "contradiction")
_TWO_WAY_ENTAILMENT = ("entailment", "not_entailment")

_TASKS = (
    GlueTask(
        name="cola",
        folder="CoLA",
        fields=("sentence",),
        columns=("sentence",),
        label_column="label",
        class_names=("unacceptable", "acceptable"),
        metrics=("matthews",),
    ),
    GlueTask(
        name="sst2",
        folder="SST-2",
        fields=("sentence",),
        columns=("sentence",),
        label_column="label",
        class_names=("negative", "positive"),
    ),
    GlueTask(
        name="mrpc",
        folder="MRPC",
        fields=("sentence1", "sentence2"),
        columns=("#1 String", "#2 String"),
        label_column="Quality",
        class_names=("not_equivalent", "equivalent"),
        metrics=("accuracy", "f1"),
    ),
    GlueTask(
        name="qqp",
        folder="QQP",
        fields=("question1", "question2"),
        columns=("question1", "question2"),
        label_column="is_duplicate",
        class_names=("not_duplicate", "duplicate"),
        metrics=("accuracy", "f1"),
    ),
    GlueTask(
        name="stsb",
        folder="STS-B",
        fields=("sentence1", "sentence2"),
        columns=("sentence1", "sentence2"),
        label_column="score",
        class_names=(),
        labels=(),
        metrics=("pearson", "spearman"),
    ),
    GlueTask(
        name="mnli",
        folder="MNLI",
        fields=("premise", "hypothesis"),
        columns=("sentence1", "sentence2"),
        label_column="gold_label",
        class_names=_ENTAILMENT,
        labels=_ENTAILMENT,
        sections=("_matched", "_mismatched"),
    ),
    GlueTask(
        name="qnli",
        folder="QNLI",
        fields=("question", "sentence"),
        columns=("question", "sentence"),
        label_column="label",
        class_names=_TWO_WAY_ENTAILMENT,
        labels=_TWO_WAY_ENTAILMENT,
    ),
    GlueTask(
        name="rte",
        folder="RTE",
        fields=("sentence1", "sentence2"),
        columns=("sentence1", "sentence2"),
        label_column="label",
        class_names=_TWO_WAY_ENTAILMENT,
        labels=_TWO_WAY_ENTAILMENT,
    ),
)
TASKS = {task.name: task for task in _TASKS}


def find_task(name: str) -> GlueTask:
    """Returns the task of a name; raises ValueError with the names that there are."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{name!r} is none of the GLUE tasks {', '.join(TASKS)}{hint}")
    return TASKS[name]


def average(scores: Mapping[str, Sequence[float]]) -> float:
    """Returns the average over tasks as Perceiver IO's tables have it, 0 to 100.

    Every task counts once, with the mean of its validation splits: MNLI's two together
    count as much as one other task. The paper's average is over all of `TASKS`.

    Args:
      scores: of every task, the first of its `metrics` on each validation split.
    """
    return 100 * float(np.mean([np.mean(values) for values in scores.values()]))
