"""A step of training: the same for any number of devices and parts."""

import dataclasses
import itertools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import regression

from configs import digits
from experiments import build
from perceiver_jax.engine import optimizer as optimizers
from perceiver_jax.engine import sharding
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward
from perceiver_jax.engine.update import Update


def batches(size=16):
    """Rows, one of which is masked, that 8 devices can share."""
    for seed in itertools.count():
        found = regression.batch(seed, size)
        found["mask"][3] = 0
        yield found


def plain_model():
    return regression.make_model()


def normalised_model(axis_name):
    """The same with BatchNorm."""

    def forward(batch, is_training):
        axis = None if hk.running_init() else axis_name
        norm = hk.BatchNorm(True, True, 0.9, cross_replica_axis=axis)
        # No bias: before a norm its gradient is noise, which LAMB would scale up.
        x = hk.Linear(32, with_bias=False, name="hidden")(batch["x"])
        x = norm(x, is_training)
        return hk.Linear(1, name="output")(jnp.tanh(x))[:, 0]

    return dataclasses.replace(regression.make_model(), forward=forward)


def few_steps(model, parallel, accumulate=1, num_steps=3, data=None):
    """Losses and final variables of a few updates."""
    schedule = optax.constant_schedule(0.01)
    data = data or batches()
    forward = make_forward(model.forward, regression.FLOAT32)
    params, _ = jax.eval_shape(
        lambda: forward.init(jax.random.key(0), next(data), True)
    )
    decays = {m: {name: name == "w" for name in a} for m, a in params.items()}
    layer_axes = jax.tree.map(lambda _: 0, params)
    optimizer = optimizers.lamb(schedule, decays, layer_axes, 0.1, clip_norm=1.0)
    update = Update(forward, model.metrics, optimizer, schedule, 0, accumulate)
    step = parallel.compile_update(update)
    state = parallel.initialize(lambda: update.init(model.batch(16)))
    losses = []
    for batch in itertools.islice(data, num_steps):
        state, sums = step(state, parallel.place_batch(batch))
        losses.append(float(sums["loss"][0] / sums["loss"][1]))
    saved = parallel.to_save(state)
    return losses, Variables(saved.params, saved.model_state)


def assert_close(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        jax.device_get(one[1]),
        jax.device_get(other[1]),
    )


def test_a_step_is_numpy_s():
    model = regression.make_model(width=1)
    update = regression.make_update(model, rate=0.1)
    state = jax.jit(lambda: update.init(model.batch(8)))()
    batch = next(batches(8))
    params = jax.device_get(state.params)
    hidden = batch["x"] @ params["hidden"]["w"] + params["hidden"]["b"]
    outputs = hidden @ params["output"]["w"] + params["output"]["b"]
    slope = 2 * (outputs[:, 0] - batch["y"]) * batch["mask"] / batch["mask"].sum()
    gradient = hidden.T @ slope[:, None]
    new, sums = jax.jit(update, static_argnums=2)(state, batch, None)
    assert int(new.step) == 1
    np.testing.assert_allclose(
        new.params["output"]["w"], params["output"]["w"] - 0.1 * gradient, rtol=1e-5
    )
    np.testing.assert_allclose(sums["learning_rate"], [0.1, 1])
    assert sums["loss"][1] == 7 and sums["grad_norm"][0] > np.abs(gradient)


def test_a_batch_of_padding_alone_changes_nothing():
    model = regression.make_model()
    update = regression.make_update(model)
    state = jax.jit(lambda: update.init(model.batch(8)))()
    batch = {**regression.batch(0), "mask": np.zeros(8, np.float32)}
    new, sums = jax.jit(update, static_argnums=2)(state, batch, None)
    jax.tree.map(np.testing.assert_array_equal, new.params, state.params)
    assert sums["loss"].tolist() == [0, 0]


def test_randomness_is_of_the_seed_and_the_step_and_the_device():
    def forward(batch, is_training):
        del is_training
        scale = hk.get_parameter("w", [], init=jnp.ones)
        return scale * jax.random.uniform(hk.next_rng_key(), batch["y"].shape)

    model = dataclasses.replace(
        regression.make_model(),
        forward=forward,
        metrics=lambda outputs, batch: {"loss": (outputs, batch["mask"])},
    )
    parallel = sharding.make_parallel("jit")

    def losses(seed):
        update = dataclasses.replace(regression.make_update(model, 0.0), seed=seed)
        step = parallel.compile_update(update)
        state, found = parallel.initialize(lambda: update.init(model.batch(16))), []
        for _ in range(2):
            state, sums = step(state, parallel.place_batch(regression.batch(0, 16)))
            found.append(float(sums["loss"][0]))
        return found

    assert losses(0) == losses(0)
    assert len({*losses(0), *losses(1)}) == 4
    # Were all devices to draw alike, the sum of 16 would be eight times that of two.
    assert 4 < losses(0)[0] < 12


@pytest.mark.parametrize(
    ("compile_with", "mode"),
    [("jit", "replicated"), ("jit", "fsdp"), ("pmap", "replicated")],
)
def test_eight_devices_agree_with_one(monkeypatch, compile_with, mode):
    assert jax.device_count() == 8
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 64)
    parallel = sharding.make_parallel(compile_with, mode)
    axis = sharding.update_axis(mode)
    alone = few_steps(normalised_model(sharding.AXIS), regression.one_device())
    together = few_steps(normalised_model(axis), parallel)
    assert alone[0][0] != alone[0][1]
    assert_close(alone, together)
    if mode == "fsdp":
        array = together[1].params["hidden"]["w"]
        assert array.addressable_shards[0].data.shape == (3, 4)


def test_accumulated_parts_give_the_whole_batch_s_gradient():
    model = regression.make_model()
    alone = few_steps(model, regression.one_device())
    for parts in (2, 8):
        found = few_steps(model, regression.one_device(), accumulate=parts)
        assert_close(alone, found)
    assert_close(alone, few_steps(model, sharding.make_parallel("jit"), accumulate=2))


def test_jit_and_pmap_train_a_perceiver_alike():
    config = digits.get_config("conv")  # with BatchNorm
    config.update_from_flattened_dict(
        {
            "batch_size": 16,
            "model.num_latents": 4,
            "model.latent_channels": 16,
            "model.num_blocks": 1,
            "model.layers_per_block": 1,
            "data.mix_alpha": 0.2,
        }
    )
    task = build.make_task(config)
    found = [
        few_steps(task.model, sharding.make_parallel(word), data=task.train.batches())
        for word in ("jit", "pmap")
    ]
    assert_close(*found)
