"""The smallest task of the engine: y = x @ [1, 2, 3], without files or a Perceiver."""

import dataclasses

import haiku as hk
import jax
import numpy as np
import optax
import pytest

from perceiver_jax.cluster import life, processes, signals
from perceiver_jax.engine import sharding, training
from perceiver_jax.engine.checkpoints import description
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Evaluation, Model, Task
from perceiver_jax.engine.update import Update

FLOAT32 = parse_policy("params=float32,compute=float32,output=float32")
SETTINGS = training.Settings(
    total_steps=6,
    batch_size=8,
    log_every=2,
    eval_every=3,
    checkpoint_every=2,
    keep_last=10,
)


def batch(seed, size=8):
    x = np.random.default_rng(seed).normal(size=(size, 3)).astype(np.float32)
    y = x @ np.float32([1, 2, 3])
    return {"x": x, "y": y, "mask": np.ones(size, np.float32)}


@dataclasses.dataclass(frozen=True)
class Data:
    """Batch n has the numbers of seed n; that of the step `poisoned` holds a NaN."""

    poisoned: int | None = None
    num_examples: int = 64

    def batches(self, start_step, total_steps):
        del total_steps
        while True:
            start_step += 1
            found = batch(start_step)
            if start_step == self.poisoned:
                found["x"][0, 0] = np.nan
            yield found

    def names(self, start_step, total_steps):
        del total_steps
        return [f"row {row} of seed {start_step + 1}" for row in range(8)]


def metrics(outputs, batch):
    loss = (outputs - batch["y"]) ** 2
    return {"loss": (loss, batch["mask"]), "closeness": (-loss, batch["mask"])}


def make_model(width=3):
    def forward(batch, is_training):
        del is_training
        hidden = hk.Linear(width, name="hidden")(batch["x"])
        return hk.Linear(1, name="output")(hidden)[:, 0]

    example = {
        "x": jax.ShapeDtypeStruct((3,), np.float32),
        "y": jax.ShapeDtypeStruct((), np.float32),
    }
    return Model(forward, example, metrics)


def make_task(width=3, poisoned=None):
    return Task(
        name="regression",
        model=make_model(width),
        train=Data(poisoned),
        evaluations={"test": Evaluation(lambda: [batch(1000), batch(1001)])},
        score=lambda numbers: numbers["test/closeness"],
    )


def make_update(model, rate=0.01):
    return Update(
        make_forward(model.forward, FLOAT32),
        model.metrics,
        optax.sgd(rate),
        optax.constant_schedule(rate),
    )


def train(task, workdir, settings=SETTINGS, rate=0.01, config=None, **options):
    """Trains a task; `options` are of training.Run."""
    about = description.describe(task.name, task.identity, config or {"a": 1})
    training.train(
        task,
        make_update(task.model, rate),
        sharding.make_parallel("jit"),
        settings,
        training.Run(workdir, about, **options),
        life.join(workdir, {}),
    )


def train_until(monkeypatch, step, train):
    """Runs a training that is asked to stop at a step."""
    asked = iter(range(1, step + 1))
    with monkeypatch.context() as patch:
        patch.setattr(
            processes.AnyProcess, "__call__", lambda self, mine: next(asked) == step
        )
        with pytest.raises(signals.Stopped, match="Asked to stop"):
            train()


def one_device():
    return sharding.OverMesh(sharding.make_mesh(jax.devices()[:1]))
