"""The work of a step, shared over 8 devices in every way: the same as on one."""

import functools

import jax
import numpy as np
import pytest
import small_digits
import small_flow

from benchmarks import agreement
from experiments import build
from perceiver_jax.engine import sharding
from perceiver_jax.engine.costs import compile_ahead
from perceiver_jax.model import kernel


@functools.cache
def alone(case):
    return agreement.gradients(agreement.CASES[case](), devices=1)


@pytest.mark.parametrize(
    ("case", "mode", "devices"),
    [
        ("image, 2021", "fsdp", 0),
        ("image, 2022", "fsdp", 0),
        ("image, 2021", "tensor", 4),
        ("image, 2021", "inputs", 4),
        ("text", "inputs", 0),
        ("flow", "inputs", 4),
        ("video", "replicated", 0),
        ("video", "inputs", 4),
    ],
)
def test_loss_and_gradients_are_those_of_one_device(case, mode, devices, monkeypatch):
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 2)  # small arrays too
    config = agreement.CASES[case]()
    config.update(sharding=mode, sharding_devices=devices)
    loss, gradients = alone(case).difference(agreement.gradients(config))
    assert loss < 1e-5 and gradients < 1e-5


def test_evaluation_is_that_of_one_device():
    config = small_flow.make_config(**{"model.query_chunk": 24})
    forward, variables = small_flow.random_variables(config)
    frames = np.random.default_rng(0).normal(size=(4, 2, *small_flow.TILE, 3))
    batch = {"frames": frames.astype(np.float32)}

    def flow(variables, batch, axis_name):
        return forward.apply(*variables, None, batch, False)[0]

    def run(devices=None, **fields):
        config.update(fields)
        parallel = build.make_parallel(config, devices)
        placed = parallel.from_saved(variables)
        return parallel.compile_eval(flow)(placed, parallel.place_batch(batch))

    expected = run(jax.devices()[:1])
    found = run(sharding="inputs", sharding_devices=4)
    assert found.sharding.is_fully_replicated
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def traffic(**fields):
    """What devices exchange in a step of a small classifier of images."""
    config = small_digits.get_config(**fields)
    parallel, update = build.make_parallel(config), agreement.make_update(config)
    batch = build.make_model(config).batch(config.batch_size)
    state = parallel.abstract_state(functools.partial(update.init, batch))
    step = parallel.compile_update(update)
    return compile_ahead.collectives(
        step.lower(state, parallel.abstract_batch(batch)).compile()
    )


def test_what_devices_tell_each_other_does_not_grow_with_the_inputs(monkeypatch):
    monkeypatch.setattr(kernel, "KEY_CHUNK", 8)  # more inputs: more chunks
    small, large = (
        traffic(
            sharding="inputs",
            sharding_devices=4,
            data__image_size=size,
            model__layers_per_block=0,
        )
        for size in ((8, 8), (16, 32))
    )
    assert small == large
    # Largest scores, sums; the query's gradient; and all gradients over "data".
    assert small.keys() == {"all-reduce"} and small["all-reduce"].times >= 4


def test_layers_in_parts_gather_nothing():
    found = traffic(sharding="tensor", sharding_devices=4, model__num_self_heads=4)
    assert found.keys() == {"all-reduce"}


def test_parameters_in_parts_are_gathered_and_outputs_never_summed(monkeypatch):
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 2)

    def exchanged(**fields):
        return sum(found.bytes for found in traffic(**fields).values())

    # More examples, more outputs, and the same parameters.
    split = exchanged(sharding="fsdp")
    assert split == exchanged(sharding="fsdp", batch_size=64)
    # Whole, parameters are summed once; in parts they are gathered twice besides.
    assert split < 4 * exchanged()
