"""The toy task, put together."""

import jax
import jax.numpy as jnp
from ml_collections import config_dict

from experiments.wine import data
from experiments.wine.model import make_model
from perceiver_jax.engine.task import Batch, Evaluation, Identity, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task of configs/wine.py."""
    train, test = data.split(config.data)
    return Task(
        name="wine",
        model=make_model(config),
        train=data.train_loader(config, train),
        evaluations={
            "test": Evaluation(
                batches=data.eval_loader(config, test).batches, predictions=predictions
            )
        },
        score=lambda numbers: numbers["test/top1"],
        identity=Identity(class_names={"grower": data.NAMES}),
    )


def predictions(logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Returns the predicted and the true grower of each wine."""
    return {"predicted": jnp.argmax(logits, -1), "grower": batch["grower"]}
