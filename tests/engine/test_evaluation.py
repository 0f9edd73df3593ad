"""Evaluation: the same numbers in any batches, over any devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import regression

from perceiver_jax.data import loader, sources
from perceiver_jax.engine import evaluation, sharding
from perceiver_jax.engine.forward import make_forward
from perceiver_jax.engine.task import Evaluation, Sound

ROWS = {**regression.batch(0, size=29), "label": np.arange(29)}
del ROWS["mask"]
NAMES = ("loss", "closeness")
ALONE = {"batch_size": 29, "parallel": regression.one_device()}


def labels(outputs, batch):
    return {"label": batch["label"], "output": outputs}


def evaluator(batch_size, parallel, read=dict, **sets):
    """An evaluator of sets, each with the 29 rows, and variables to evaluate."""
    batches = loader.EvalLoader(sources.ArraySource(**ROWS), read, batch_size).batches
    task = dataclasses.replace(
        regression.make_task(),
        evaluations={name: Evaluation(batches, **more) for name, more in sets.items()},
    )
    forward = make_forward(task.model.forward, regression.FLOAT32)
    example = jax.tree.map(jnp.asarray, next(iter(batches())))
    variables = parallel.initialize(
        lambda: evaluation.Variables(*forward.init(jax.random.key(0), example, False))
    )
    return evaluation.Evaluator(task, forward, parallel), variables


def numpy_loss(parallel, variables):
    params = parallel.to_save(variables).params
    hidden = ROWS["x"] @ params["hidden"]["w"] + params["hidden"]["b"]
    outputs = hidden @ params["output"]["w"] + params["output"]["b"]
    return np.mean((np.asarray(outputs)[:, 0] - ROWS["y"]) ** 2)


@pytest.mark.parametrize(
    ("batch_size", "parallel"),
    [
        (29, regression.one_device()),
        (5, regression.one_device()),
        (16, sharding.make_parallel("jit")),
        (16, sharding.make_parallel("pmap")),
        (16, sharding.make_parallel("jit", "fsdp")),
        (2, sharding.make_parallel("jit", "inputs", 4)),
    ],
)
def test_evaluation_is_the_same_for_any_batch_size_and_device_count(
    batch_size, parallel
):
    evaluate, variables = evaluator(
        batch_size,
        parallel,
        test={
            "predictions": labels,
            "summary": lambda found: {"count": len(found["label"])},
        },
    )
    found = evaluate(variables)
    np.testing.assert_array_equal(found.predictions["test"]["label"], np.arange(29))
    loss = numpy_loss(parallel, variables)
    assert found.metrics == pytest.approx(
        {
            "test/loss": loss,
            "test/closeness": -loss,
            "test/count": 29,
            "score": -loss,
        },
        rel=1e-5,
    )
    alone = evaluate.predictions("test", variables)
    np.testing.assert_array_equal(alone["output"], found.predictions["test"]["output"])


def test_each_set_has_its_own_summary_and_predictions():
    evaluate, variables = evaluator(
        **ALONE,
        test={},
        other={
            "predictions": labels,
            "summary": lambda found: {"largest": found["label"].max()},
        },
    )
    found = evaluate(variables)
    of_all = {f"{name}/{key}" for name in ("test", "other") for key in NAMES}
    assert found.metrics.keys() == {*of_all, "other/largest", "score"}
    assert found.metrics["other/largest"] == 28
    assert found.metrics["test/loss"] == found.metrics["other/loss"]
    assert found.predictions["test"] == {}


def test_sets_with_one_kind_of_predictions_share_a_program(monkeypatch):
    traced = []
    monkeypatch.setattr(regression, "metrics", _noted(regression.metrics, traced))
    gathered = {"predictions": labels}
    evaluate, variables = evaluator(**ALONE, test=gathered, second=gathered, third={})
    evaluate(variables)
    evaluate(variables)
    assert len(traced) == 2  # one program with predictions, one without


def _noted(function, calls):
    def noted(*args):
        calls.append(1)
        return function(*args)

    return noted


@pytest.mark.parametrize("compile_with", ["jit", "pmap"])
def test_corrupt_examples_are_counted_over_devices_and_batches(compile_with):
    def read(example):
        if example["label"] in (2, 3, 20):
            raise sources.CorruptExample(f"row {example['label']}")
        return example

    parallel = sharding.make_parallel(compile_with)
    evaluate, variables = evaluator(16, parallel, read, test={"predictions": labels})
    found = evaluate(variables)
    assert found.metrics["test/left_out"] == 3
    kept = np.setdiff1d(np.arange(29), (2, 3, 20))
    np.testing.assert_array_equal(found.predictions["test"]["label"], kept)


@pytest.mark.parametrize(
    ("batch_size", "parallel", "shown"),
    [
        (5, regression.one_device(), 5),
        (29, regression.one_device(), evaluation.MAX_SHOWN),
        (16, sharding.make_parallel("jit"), evaluation.MAX_SHOWN),
        (16, sharding.make_parallel("pmap"), evaluation.MAX_SHOWN),
    ],
)
def test_samples_are_the_first_examples_of_each_set(batch_size, parallel, shown):
    looked_at = []
    sound = Sound(np.zeros(3), 8_000)

    def pictures(outputs, batch):
        looked_at.append((outputs, batch["label"]))
        return {"a": np.zeros((2, 2, 3), np.uint8)}

    evaluate, variables = evaluator(
        batch_size,
        parallel,
        test={"pictures": pictures, "texts": lambda *_: {"b": "words"}},
        heard={"sounds": lambda *_: {"c": sound}},
        quiet={},
    )
    samples = evaluate.samples(variables)
    assert list(samples.pictures) == ["test/a"] and samples.texts == {"test/b": "words"}
    assert samples.sounds == {"heard/c": sound}
    ((outputs, rows),) = looked_at
    assert len(outputs) == shown
    np.testing.assert_array_equal(rows, np.arange(shown))
