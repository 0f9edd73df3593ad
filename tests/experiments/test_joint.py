"""The contract's proof: one task is made of two, and the engine does not change."""

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_digits
import small_text

from experiments import build
from perceiver_jax.cluster import life
from perceiver_jax.engine import sharding, training
from perceiver_jax.engine.checkpoints import checkpoint, description
from perceiver_jax.engine.evaluation import Evaluator, Variables
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Evaluation, Identity, Model, Task
from perceiver_jax.engine.writer import read_metrics

STEPS = 24
# What the loss of an example's parts weighs: about 7 bytes are hidden in a text.
SHARES = {"digits": 1.0, "text": 1 / 7}


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """Runs the models whose inputs a batch has, each under its own name."""

    models: Mapping[str, Model]

    def __call__(self, batch, is_training):
        outputs = {}
        for name, model in self.models.items():
            if name in batch:
                with hk.experimental.name_scope(name):
                    outputs[name] = model.forward(batch[name], is_training)
        return outputs


@dataclasses.dataclass(frozen=True, eq=False)
class Metrics:
    """Those of each part, and one loss."""

    models: Mapping[str, Model]

    def __call__(self, outputs, batch):
        found, values, weights = {}, [], []
        for name, of_part in outputs.items():
            part = self.models[name].metrics(of_part, batch[name])
            found |= {f"{name}_{key}": pair for key, pair in part.items()}
            value, weight = part["loss"]
            values.append(value.ravel())
            weights.append(SHARES[name] * weight.ravel())
        loss = (jnp.concatenate(values), jnp.concatenate(weights))
        return {"loss": loss, **found}


@dataclasses.dataclass(frozen=True, eq=False)
class Train:
    """A batch of each part, side by side."""

    tasks: Mapping[str, Task]

    @property
    def num_examples(self):
        return max(task.train.num_examples for task in self.tasks.values())

    def batches(self, start_step, total_steps):
        parts = {
            name: task.train.batches(start_step, total_steps)
            for name, task in self.tasks.items()
        }
        while True:
            batch = {name: next(batches) for name, batches in parts.items()}
            yield {"mask": np.ones(len(batch["text"]["mask"]), np.float32), **batch}

    def names(self, start_step, total_steps):
        parts = [t.train.names(start_step, total_steps) for t in self.tasks.values()]
        return [" and ".join(row) for row in zip(*parts)]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """An evaluation set of one part, whose batches have no other part."""

    name: str
    evaluation: Evaluation

    def batches(self):
        for batch in self.evaluation.batches():
            yield {"mask": batch["mask"], self.name: batch}

    def predictions(self, outputs, batch):
        return self.evaluation.predictions(outputs[self.name], batch[self.name])

    def texts(self, outputs, batch):
        return self.evaluation.texts(outputs[self.name], batch[self.name])


def join(tasks: Mapping[str, Task]) -> Task:
    """One task of several."""
    models = {name: task.model for name, task in tasks.items()}
    mask = jax.ShapeDtypeStruct((), np.float32)
    example: dict[str, Any] = {
        name: {**model.example, "mask": mask} for name, model in models.items()
    }
    evaluations = {}
    for name, task in tasks.items():
        for key, evaluation in task.evaluations.items():
            part = Part(name, evaluation)
            evaluations[f"{name}_{key}"] = Evaluation(
                batches=part.batches,
                predictions=evaluation.predictions and part.predictions,
                texts=evaluation.texts and part.texts,
            )

    def score(numbers):
        """The mean of the parts' own."""
        found = []
        for name, task in tasks.items():
            own = {
                key.removeprefix(f"{name}_").replace(f"/{name}_", "/"): value
                for key, value in numbers.items()
            }
            found.append(task.score(own))
        return float(np.mean(found))

    return Task(
        name="joint",
        model=Model(Forward(models), example, Metrics(models)),
        train=Train(tasks),
        evaluations=evaluations,
        score=score,
        identity=Identity(
            tasks["text"].identity.vocabulary, tasks["digits"].identity.class_names
        ),
    )


@pytest.fixture(scope="module")
def joint():
    """The task, and the config whose optimizer and length it is trained with."""
    config = small_digits.get_config(batch_size=16, steps=STEPS)
    text = small_text.masked_lm_config(batch_size=16, **{"data.max_held_out": 24})
    tasks = {"digits": build.make_task(config), "text": build.make_task(text)}
    return join(tasks), config


def train(joint, workdir, steps=STEPS):
    task, config = joint
    settings = training.Settings(
        steps, config.batch_size, log_every=4, eval_every=12, checkpoint_every=6
    )
    about = description.describe(task.name, task.identity, json.loads(config.to_json()))
    training.train(
        task,
        build.make_update(config, task.model, STEPS),
        sharding.make_parallel("jit"),
        settings,
        training.Run(workdir, about),
        life.join(workdir, {}),
    )


@pytest.fixture(scope="module")
def trained(joint, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("joint")
    train(joint, workdir)
    return workdir


def test_both_losses_fall_and_each_set_has_its_numbers(trained):
    rows = read_metrics(trained)
    losses = [row for row in rows if "train/loss" in row]
    assert len(losses) == STEPS / 4
    for name in ("digits", "text"):
        assert losses[-1][f"train/{name}_loss"] < losses[0][f"train/{name}_loss"]
    last = rows[-1]
    assert {"digits_test/digits_top1", "text_docs/text_bits_per_byte"} <= last.keys()
    assert not any("digits_test/text" in name for name in last)
    assert last["score"] == pytest.approx(
        (last["digits_test/digits_top1"] + last["text_docs/text_masked_accuracy"]) / 2
    )


def test_a_joint_run_that_was_stopped_goes_on_to_the_same_numbers(
    joint, trained, tmp_path
):
    train(joint, tmp_path, steps=18)
    train(joint, tmp_path)
    whole, resumed = (
        checkpoint.load_variables(folder)[0]["params"] for folder in (trained, tmp_path)
    )
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)


def test_a_part_is_evaluated_as_it_would_be_alone(joint, trained):
    """Its numbers are those of its own task, with its share of the parameters."""
    task, _ = joint
    variables, _, _ = checkpoint.load_variables(trained)
    text = build.make_task(small_text.masked_lm_config(**{"data.max_held_out": 24}))
    alone = {
        module.removeprefix("text/"): arrays
        for module, arrays in variables["params"].items()
        if module.startswith("text/")
    }
    parallel = sharding.make_parallel("jit")
    forward = make_forward(text.model.forward, parse_policy("float32"))
    found = Evaluator(text, forward, parallel)(
        parallel.from_saved(Variables(alone, {}))
    ).metrics
    with contextlib.closing(checkpoint.Checkpoints(trained, read_only=True)) as saved:
        joint_numbers = saved.metrics(STEPS)
    for key in ("loss", "masked_accuracy", "bits_per_byte"):
        assert joint_numbers[f"text_docs/text_{key}"] == pytest.approx(
            found[f"docs/{key}"], rel=1e-5
        )


def test_an_example_has_the_names_of_its_parts(joint):
    task, _ = joint
    names = task.train.names(2, STEPS)
    assert len(names) == 16
    for name in names:
        digit, documents = name.split(" and ")
        assert digit.startswith("example ") and documents.count(", ") == 9
