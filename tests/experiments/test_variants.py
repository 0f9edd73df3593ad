"""Every variant of every config, without data: what it trains, and how large it is."""

import json

import all_configs
import jax
import numpy as np
import pytest
import small_audioset
import small_flow
import small_text

from experiments import build, checks, planning
from perceiver_jax.engine import sharding
from perceiver_jax.engine.checkpoints import description
from perceiver_jax.engine.costs import flops
from scripts import ledger

each_variant = pytest.mark.parametrize("name", all_configs.NAMES)


@each_variant
def test_the_model_has_the_declared_size(name):
    size = build.model_size(all_configs.get_config(name))
    assert size.parameters > 30_000
    declared = ledger.read()[name].update  # counted below, once a program
    ledger.check(name, ledger.Cost(size.parameters, size.flops, declared))


@pytest.mark.parametrize("name", all_configs.PROGRAMS)
def test_a_training_step_is_traced(name):
    config = all_configs.get_config(name)
    model = build.make_model(config)
    update = build.make_update(config, model, total_steps=1000)
    parallel = sharding.OverMesh(sharding.make_mesh(jax.devices()[:1]))
    step = parallel.compile_update(update)  # which nothing runs
    batch = model.batch(config.batch_size)
    state = jax.eval_shape(update.init, batch)
    spent = flops.count_flops(step, state, batch)

    new, sums = jax.eval_shape(step, state, batch)
    assert jax.tree.map(np.shape, new) == jax.tree.map(np.shape, state)
    assert {x.dtype for x in jax.tree.leaves(new.params)} == {np.dtype("float32")}
    assert sums["loss"].shape == (2,)
    declared = ledger.read()[name]
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    ledger.check(name, declared._replace(parameters=parameters, update=spent))
    # Forward, and twice as much backward; once more where layers are recomputed. Less
    # where a gradient is not needed, such as that of the pixels.
    assert 2.1 < spent / config.batch_size / declared.forward < 4.2


@each_variant
def test_fields_are_as_programs_need_them(name):
    config = all_configs.get_config(name)
    build.check(config)
    assert (config.steps > 0) != (config.epochs > 0)
    assert json.loads(config.to_json())["task"] == config.task
    ranges = {**checks.RANGES, **build.find(config, "fields").RANGES}
    free = {*build.FREE, *build.find(config, "fields").FREE}
    flat = description.flatten(config.to_dict())
    assert free <= flat.keys()
    # Every number has a range. Tuples that tasks check by themselves have none.
    numbers = {
        field
        for field, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert numbers <= ranges.keys()


@pytest.mark.parametrize("file", all_configs.FILES)
def test_an_unknown_variant_is_named_beside_the_known_ones(file):
    module = all_configs.module(file)
    if variants := getattr(module, "VARIANTS", None):
        known = ".*".join(variants)
        with pytest.raises(ValueError, match=f"'nine' is unknown.*{known}"):
            module.get_config("nine")
    else:
        assert module.get_config().task


@pytest.mark.parametrize("file", all_configs.FILES)
def test_a_sweep_changes_fields_that_there_are(file):
    module = all_configs.module(file)
    for point in module.sweep():
        config = module.get_config()
        config.update_from_flattened_dict(point)
        build.check(config)
        assert point.items() <= description.flatten(config.to_dict()).items()


@pytest.mark.usefixtures("tpu_flags")
@pytest.mark.parametrize(
    "config",
    [
        small_text.masked_lm_config(),
        small_text.glue_config("mrpc"),
        small_flow.make_config(steps=4),
        small_audioset.make_config(),
    ],
    ids=[
        "masked_lm",
        "glue",
        "optical_flow",
        "audioset",
    ],  # images are in test_planning.py
)
def test_the_step_of_each_task_compiles_for_a_tpu(config):
    told = planning.compile_for(config, "v5e:1x1")
    assert f"v5e:1x1: 1 chips, {config.batch_size} examples a step" in told
    assert "GFLOP" in told and "temporaries" in told
