"""The classifier of wines that a config's `model` describes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.model_parts import make_decoder, make_perceiver
from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import perceiver, position

MEASUREMENTS = 13
GROWERS = 3


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of configs/wine.py."""
    return Model(
        forward=Forward(config.model),
        example={
            "measured": jax.ShapeDtypeStruct((MEASUREMENTS,), np.float32),
            "grower": jax.ShapeDtypeStruct((), np.int32),
        },
        metrics=measure,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> logits."""

    model: config_dict.ConfigDict

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `measured` [B, M] to [B, growers]."""
        values = batch["measured"][:, :, None]
        table = position.LearnedPosition([MEASUREMENTS], self.model.position_channels)
        rows = jnp.broadcast_to(
            table([MEASUREMENTS]).astype(values.dtype),
            (*values.shape[:2], self.model.position_channels),
        )
        inputs = jnp.concatenate([values, rows], axis=-1)
        queries = perceiver.LearnedQueries(1, self.model.latent_channels)()
        network = make_perceiver(self.model, make_decoder(self.model, GROWERS))
        return network(inputs, queries, is_training=is_training)[:, 0]


def measure(logits: jax.Array, batch: Batch) -> metrics.Metrics:
    """Maps logits [B, growers] and a batch to loss and accuracy [B]."""
    labels = jax.nn.one_hot(batch["grower"], GROWERS)
    return {
        "loss": (losses.softmax_cross_entropy(logits, labels), batch["mask"]),
        "top1": (metrics.top_k(logits, labels, 1), batch["mask"]),
    }
