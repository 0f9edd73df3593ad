"""Repeated layers against plain loops: their values, parameters and randomness."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name
from jaxprs import count_equations
from judge import normal

from perceiver_jax.model import stack


def scale(x):
    """A layer with a parameter, drawn at random."""
    return x * hk.get_parameter("w", x.shape, init=hk.initializers.RandomNormal())


def drop(x):
    return hk.dropout(hk.next_rng_key(), 0.5, x)


def test_stacked_layers_have_parameters_of_their_own():
    module = hk.transform(stack.stacked(scale, 4, "layers"))
    params = module.init(jax.random.key(0), np.ones(3))
    w = params["layers/~"]["w"]
    assert w.shape == (4, 3) and len(np.unique(w)) == 12
    x = normal(3)
    np.testing.assert_allclose(
        module.apply(params, None, x), x * np.prod(w, 0), rtol=1e-5
    )


def test_shared_layers_have_the_same_parameters():
    module = hk.transform(stack.shared(scale, 4))
    params = module.init(jax.random.key(0), np.ones(3))
    w = params["~"]["w"]
    assert w.shape == (3,)
    x = normal(3)
    np.testing.assert_allclose(module.apply(params, None, x), x * w**4, rtol=1e-5)


@pytest.mark.parametrize("share", [True, False])
def test_repeated_layers_make_their_modules_once_or_for_each(share):
    def make_layer():
        return hk.Linear(3, name="linear")

    module = hk.transform(lambda x: stack.repeated(make_layer, 2, share, "layers")(x))
    params = module.init(jax.random.key(0), np.ones((1, 3)))
    name, lead = ("linear", ()) if share else ("layers/linear", (2,))
    assert params[name]["w"].shape == (*lead, 3, 3)
    layers = np.broadcast_to(params[name]["w"], (2, 3, 3))
    x = normal(1, 3)
    np.testing.assert_allclose(
        module.apply(params, None, x), x @ layers[0] @ layers[1], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("share", [True, False])
def test_no_layer_is_the_identity(share):
    repeat = lambda x: stack.repeated(lambda: scale, 0, share, "layers")(x)
    module = hk.transform(repeat)
    assert not module.init(jax.random.key(0), np.ones(3))
    np.testing.assert_array_equal(module.apply({}, None, normal(3)), normal(3))


@pytest.mark.parametrize("share", [True, False])
def test_passes_of_a_layer_drop_different_values(share):
    repeat = lambda x: stack.repeated(lambda: drop, 3, share, "layers")(x)
    outputs = hk.transform(repeat).apply({}, jax.random.key(0), jnp.ones(2000))
    np.testing.assert_allclose((outputs != 0).mean(), 1 / 8, atol=0.03)


@pytest.mark.parametrize("share", [True, False])
def test_a_program_is_as_large_for_many_layers_as_for_few(share):
    def size(count):
        repeat = lambda x: stack.repeated(lambda: scale, count, share, "layers")(x)
        module = hk.transform(repeat)
        params = module.init(jax.random.key(0), np.ones(3))
        loss = lambda params: module.apply(params, None, np.ones(3)).sum()
        return count_equations(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)

    assert size(2) == size(20)


def test_remat_keeps_what_is_tagged_and_recomputes_the_rest():
    def layer(x):
        return jnp.exp(checkpoint_name(jnp.sin(x), stack.KEPT))

    def gradient(change):
        module = hk.transform(lambda x: stack.shared(change(layer), 3)(x).sum())
        return jax.grad(lambda x: module.apply({}, None, x))

    def count(change, name):
        return str(jax.make_jaxpr(gradient(change))(np.ones(3))).count(f" {name} ")

    unchanged = lambda layer: layer
    assert count(unchanged, "exp") == count(unchanged, "sin") == 1
    assert count(stack.remat, "exp") == 2 and count(stack.remat, "sin") == 1
    x = normal(3)
    np.testing.assert_allclose(gradient(stack.remat)(x), gradient(unchanged)(x))
