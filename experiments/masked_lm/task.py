"""Masked language modelling: guess the words that are hidden in a text."""

from ml_collections import config_dict

from experiments.masked_lm.data import (
    eval_loader,
    load_corpora,
    make_tokenizer,
    train_loader,
)
from experiments.masked_lm.model import make_model
from experiments.masked_lm.outputs import Fills
from perceiver_jax.engine.task import Evaluation, Identity, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/masked_lm.py."""
    model = make_model(config)
    tokens = make_tokenizer(config)
    corpora = load_corpora(config.data)
    first = next(iter(corpora.held_out))
    return Task(
        name="masked_lm",
        model=model,
        train=train_loader(config, corpora.train, tokens),
        evaluations={
            name: Evaluation(
                batches=eval_loader(config, documents, tokens).batches,
                texts=Fills(tokens),
            )
            for name, documents in corpora.held_out.items()
        },
        # A tiny set may hide nothing.
        score=lambda numbers: numbers.get(f"{first}/masked_accuracy", 0.0),
        identity=Identity(vocabulary=tokens.name),
    )
