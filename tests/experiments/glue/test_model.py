"""The classifiers: every readout, and the names of masked language modelling."""

import haiku as hk
import jax
import numpy as np
import pytest
import small_text

from configs import glue as glue_configs
from experiments.glue import model
from experiments.masked_lm import model as text_model
from perceiver_jax.engine.checkpoints import named_arrays


@pytest.mark.parametrize("variant", [*glue_configs.MULTITASK, "bert"])
def test_every_readout_answers_the_task_that_is_asked(variant):
    is_bert = variant == "bert"
    config = small_text.glue_config("task_tokens" if is_bert else variant)
    config.model.kind = "transformer" if is_bert else "perceiver"
    forward = hk.transform(model.Forward(config.model, {"one": 3, "two": 0}))
    rng = np.random.default_rng(0)
    batch = {
        "tokens": rng.integers(6, 262, (2, 48)),
        "token_mask": np.arange(48) < [[30], [48]],
        "task": np.array([0, 1]),
    }
    init, apply = (
        jax.jit(f, static_argnames="is_training") for f in (forward.init, forward.apply)
    )
    params = init(jax.random.key(0), batch, is_training=False)
    found = apply(params, None, batch, is_training=False)
    assert {name: x.shape for name, x in found.items()} == {
        "one": (2, 3),
        "two": (2, 1),
    }
    other = batch | {"task": np.array([1, 0])}
    swapped = apply(params, None, other, is_training=False)
    same = np.allclose(found["one"], swapped["one"], atol=1e-6)
    assert same == (variant == "shared_token")  # knows the task by its head alone

    mlm = hk.transform(text_model.Forward(config.model))
    shapes = jax.eval_shape(lambda: mlm.init(jax.random.key(0), batch, False))
    pretrained = set(named_arrays.shapes_of(shapes))
    new = set(named_arrays.shapes_of(params)) - pretrained
    tables = {"shared_token": set(), "multitask_query": {"task_queries/queries"}}
    layers = ("hidden/w", "hidden/b", "output/w", "output/b")
    heads = {f"{task}_head/{layer}" for task in ("one", "two") for layer in layers}
    assert new == heads | tables.get(variant, {"task_tokens/queries"})
