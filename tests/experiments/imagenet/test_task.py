"""The image task put together, trained for a few steps in this process."""

import jax
import numpy as np
import small_digits

from experiments import build, launch
from perceiver_jax.engine import evaluation, sharding
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.forward import make_forward, parse_policy


def test_task_says_what_its_outputs_stand_for():
    task = build.make_task(small_digits.get_config())
    (names,) = task.identity.class_names.values()
    assert [*task.identity.class_names] == ["classes"] and [*names] == [*"0123456789"]
    assert not task.identity.vocabulary
    assert task.score({"test/top1": 0.25, "test/loss": 3.0}) == 0.25
    assert list(task.evaluations) == ["test"]


def test_evaluation_gathers_classes_and_shows_images():
    task = build.make_task(small_digits.get_config())
    forward = make_forward(task.model.forward, parse_policy("params=float32"))
    parallel = sharding.make_parallel("jit")
    variables = parallel.initialize(
        lambda: evaluation.Variables(
            *forward.init(jax.random.key(0), next(task.train.batches()), True)
        )
    )
    evaluate = evaluation.Evaluator(task, forward, parallel)
    found = evaluate(variables)
    label, predicted = (found.predictions["test"][k] for k in ("label", "predicted"))
    assert len(label) == 360
    assert found.metrics["test/top1"] == found.metrics["score"]
    np.testing.assert_allclose(found.metrics["score"], np.mean(label == predicted))
    assert evaluate.samples(variables).pictures.keys() == {"test/predictions"}


def test_a_few_steps_of_training_leave_a_checkpoint(tmp_path):
    launch.train(small_digits.get_config(steps=2), tmp_path)
    _, about, folder = checkpoint.load_variables(tmp_path, "best")
    assert folder.name == "2" and about["task"] == "imagenet"
