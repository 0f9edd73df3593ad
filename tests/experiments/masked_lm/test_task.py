"""The task of masked language modelling, put together."""

import jax
import numpy as np
import pytest
import small_text

from experiments import build


@pytest.fixture(scope="module")
def task():
    return build.make_task(small_text.masked_lm_config(**{"data.source": "synthetic"}))


def test_the_model_s_example_is_one_of_training(task):
    batch = next(task.train.batches(0, 2))
    found = jax.tree.map(lambda x: (x.shape, np.dtype(x.dtype)), batch)
    shapes = task.model.batch(8)
    assert found == jax.tree.map(lambda x: (x.shape, np.dtype(x.dtype)), shapes)
    (evaluation,) = task.evaluations.values()
    assert set(next(iter(evaluation.batches()))) == {*shapes, "left_out"}


def test_the_score_is_the_accuracy_on_the_first_set():
    config = small_text.masked_lm_config(**{"data.source": "synthetic"})
    config.data.update(names=("a", "b"), weights=(1.0, 1.0))
    config.data.update(train=("", ""), held_out=("", ""))
    task = build.make_task(config)
    assert list(task.evaluations) == ["a", "b"]
    numbers = {"a/loss": 3.0, "a/masked_accuracy": 0.25, "b/masked_accuracy": 0.5}
    assert task.score(numbers) == 0.25
    assert task.identity.vocabulary == "bytes"
