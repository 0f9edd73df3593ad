"""Schedules at their corners, and LAMB layer by layer of a stack."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceiver_jax.engine import optimizer

# Schedules.


def test_constant_rate_is_the_same_at_every_step():
    schedule = optimizer.constant(0.3, 100)
    assert [float(schedule(step)) for step in (0, 50, 100)] == [np.float32(0.3)] * 3


def test_flat_cosine_is_flat_and_then_falls_to_zero():
    schedule = optimizer.flat_cosine(2.0, 1000, flat_fraction=0.4)
    steps = np.array([0, 399, 400, 550, 700, 999, 1000])
    progress = np.clip((steps - 400) / 600, 0, 1)
    expected = 2.0 * (1 + np.cos(np.pi * progress)) / 2
    rates = [schedule(step) for step in steps]
    np.testing.assert_allclose(rates, expected, atol=1e-6)
    assert rates[0] == rates[1] == 2.0
    assert rates[-1] == 0


@pytest.mark.parametrize(("fraction", "rates"), [(0, [2, 1, 0]), (1, [2, 2, 2])])
def test_flat_part_may_be_nothing_or_all(fraction, rates):
    schedule = optimizer.flat_cosine(2.0, 100, flat_fraction=fraction)
    np.testing.assert_allclose([schedule(s) for s in (0, 50, 100)], rates, atol=1e-6)


def test_warmup_cosine_rises_in_a_line_and_falls_to_zero():
    schedule = optimizer.warmup_cosine(2.0, 1100, warmup_steps=100)
    rates = [schedule(step) for step in (0, 25, 100, 600, 1100)]
    np.testing.assert_allclose(rates, [0, 0.5, 2, 1, 0], atol=1e-6)


@pytest.mark.parametrize("steps", [100, 150, 199, 200, 10_000])
def test_warmup_takes_at_most_half_of_training(steps):
    schedule = optimizer.warmup_cosine(2.0, 200, warmup_steps=steps)
    rates = [schedule(step) for step in (0, 50, 100, 150, 200)]
    np.testing.assert_allclose(rates, [0, 1, 2, 1, 0], atol=1e-6)


def test_warmup_of_one_step_of_training_is_none():
    assert optimizer.warmup_cosine(2.0, 1, warmup_steps=100)(0) == 2.0


def test_step_decay_is_that_of_epochs_84_102_114_of_120():
    per_epoch = 1251
    schedule = optimizer.step_decay(4e-3, 120 * per_epoch)
    for epoch, before, after in (
        (84, 4e-3, 4e-4),
        (102, 4e-4, 4e-5),
        (114, 4e-5, 4e-6),
    ):
        rates = [schedule(epoch * per_epoch + k) for k in (-1, 0)]
        np.testing.assert_allclose(rates, [before, after], rtol=1e-5)
    np.testing.assert_allclose(schedule(0), 4e-3, rtol=1e-6)
    np.testing.assert_allclose(schedule(120 * per_epoch), 4e-6, rtol=1e-5)


def test_learning_rate_follows_the_batch_where_a_reference_is_given():
    assert optimizer.scale_learning_rate(2e-3, 512, 1024) == 1e-3
    assert optimizer.scale_learning_rate(2e-3, 512, 0) == 2e-3


# Optimizers.


def random_tree(seed, scale=1.0):
    """A model with modules outside any stack, in one of 3, and in one of 2 times 3."""
    rng = np.random.default_rng(seed)
    # Layers of very different size: the ratio of one must not be that of another.
    sizes = np.array([0.1, 1.0, 10.0])
    normal = lambda *shape: scale * rng.normal(size=shape).astype(np.float32)
    one = sizes.astype(np.float32)
    return {
        "encoder": {"latents": normal(4, 5)},
        "encoder/query": {"w": normal(5, 6), "b": normal(6)},
        "processor/block/layers/query": {
            "w": normal(3, 5, 6) * one[:, None, None],
            "b": normal(3, 6) * one[:, None],
        },
        "processor/segments/block/layers/query": {
            "w": normal(2, 3, 5, 6) * one[:, None, None],
            "b": normal(2, 3, 6) * one[:, None],
        },
    }


LAYER_AXES = {
    "encoder": {"latents": 0},
    "encoder/query": {"w": 0, "b": 0},
    "processor/block/layers/query": {"w": 1, "b": 1},
    "processor/segments/block/layers/query": {"w": 2, "b": 2},
}
DECAYS = {
    module: {name: name != "b" for name in arrays}
    for module, arrays in LAYER_AXES.items()
}


def unstack(tree):
    """Every layer of a stack as a module of its own."""
    flat = {}
    for module, arrays in tree.items():
        axes = min(LAYER_AXES[module].values())
        lead = next(iter(arrays.values())).shape[:axes]
        for index in np.ndindex(*lead):
            layer = {name: array[index] for name, array in arrays.items()}
            flat[f"{module}{index}"] = layer
    return flat


def train(transform, params, gradients):
    state = transform.init(params)
    update = jax.jit(transform.update)
    for grads in gradients:
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params


def assert_trees_close(tree, expected, rtol=2e-5):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6),
        tree,
        expected,
    )


GRADIENTS = [random_tree(seed, scale=0.1) for seed in (1, 2, 3)]


def test_lamb_of_a_stack_is_optax_lamb_of_its_layers():
    decayed = lambda tree: {
        module: {name: name != "b" for name in arrays}
        for module, arrays in tree.items()
    }
    ours = optimizer.lamb(
        optax.linear_schedule(0.1, 0.0, 10), DECAYS, LAYER_AXES, weight_decay=0.3
    )
    judge = optax.lamb(
        optax.linear_schedule(0.1, 0.0, 10),
        b1=0.9,
        b2=0.999,
        eps=1e-6,
        weight_decay=0.3,
        mask=decayed,
    )
    params = random_tree(0)
    trained = train(ours, params, GRADIENTS)
    expected = train(judge, unstack(params), [unstack(g) for g in GRADIENTS])
    assert_trees_close(unstack(trained), expected)
    # Not what a ratio over the whole stack would give.
    of_arrays = unstack(train(judge, params, GRADIENTS))
    layer = "processor/block/layers/query(0,)"
    assert np.abs(of_arrays[layer]["w"] - expected[layer]["w"]).max() > 0.01


def test_layer_of_zeros_moves_by_the_plain_rate_and_leaves_others_alone():
    params = random_tree(0)
    params["processor/block/layers/query"]["w"][1] = 0
    ours = optimizer.lamb(optax.constant_schedule(0.1), DECAYS, LAYER_AXES)
    trained = train(ours, params, GRADIENTS[:1])["processor/block/layers/query"]["w"]
    # The first step of Adam is the sign of the gradient.
    signs = np.sign(GRADIENTS[0]["processor/block/layers/query"]["w"])
    np.testing.assert_allclose(trained[1], -0.1 * signs[1], rtol=0.02)
    for n in (0, 2):
        w = params["processor/block/layers/query"]["w"][n]
        ratio = np.linalg.norm(w) / np.sqrt(w.size)
        expected = w - 0.1 * ratio * signs[n]
        np.testing.assert_allclose(trained[n], expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["lamb", "adamw"])
def test_gradients_are_clipped_by_their_global_norm(name):
    def clipped(tree):
        norm = np.sqrt(sum((x**2).sum() for x in jax.tree.leaves(tree)))
        return jax.tree.map(lambda x: x * min(1, 0.5 / norm), tree)

    def make(clip_norm=0.0):
        rate = optax.constant_schedule(0.1)
        return optimizer.OPTIMIZERS[name](rate, DECAYS, LAYER_AXES, clip_norm=clip_norm)

    params = random_tree(0)
    gradients = [jax.tree.map(lambda x: x * 0.02, GRADIENTS[0]), *GRADIENTS]
    judge = train(make(), params, [clipped(g) for g in gradients])
    trained = train(make(clip_norm=0.5), params, gradients)
    assert_trees_close(trained, judge)
    free = train(make(), params, gradients)
    assert np.abs(free["encoder"]["latents"] - judge["encoder"]["latents"]).max() > 0.01


def test_adamw_is_optax_adamw():
    params = random_tree(0)
    decays = {**DECAYS, "encoder": {"latents": False}}
    ours = optimizer.adamw(
        optax.constant_schedule(0.1), decays, LAYER_AXES, weight_decay=0.3
    )
    judge = optax.adamw(0.1, eps=1e-8, weight_decay=0.3, mask=decays)
    assert_trees_close(train(ours, params, GRADIENTS), train(judge, params, GRADIENTS))


def test_lamb_by_hand():
    w = np.float64([[3.0, -4.0], [0.0, 12.0]])
    b = np.float64([1.0, 2.0])
    gradients = [np.float64([[0.1, 0.2], [-0.3, 0.4]]), np.float64([[1, 0], [0.5, 0]])]
    rates, decay = [0.5, 0.25], 0.01
    ours = optimizer.lamb(
        lambda step: jnp.array(rates)[step],
        {"linear": {"w": True, "b": False}},
        {"linear": {"w": 0, "b": 0}},
        weight_decay=decay,
    )
    params = {"linear": {"w": np.float32(w), "b": np.float32(b)}}
    trees = [{"linear": {"w": np.float32(g), "b": np.float32(g[0])}} for g in gradients]
    trained = train(ours, params, trees)["linear"]

    def by_hand(x, gradients, decay):
        first = second = 0.0
        for step, (g, rate) in enumerate(zip(gradients, rates), 1):
            first = 0.9 * first + 0.1 * g
            second = 0.999 * second + 0.001 * g**2
            adam = first / (1 - 0.9**step)
            adam = adam / (np.sqrt(second / (1 - 0.999**step)) + 1e-6)
            update = adam + decay * x
            x = x - rate * np.linalg.norm(x) / np.linalg.norm(update) * update
        return x

    np.testing.assert_allclose(trained["w"], by_hand(w, gradients, decay), rtol=1e-4)
    rows = [g[0] for g in gradients]
    np.testing.assert_allclose(trained["b"], by_hand(b, rows, 0.0), rtol=1e-4)
