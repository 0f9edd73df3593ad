"""What parameters are, read from a model, and what follows for its optimizer."""

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from perceiver_jax.model import parameters, stack
from perceiver_jax.model.parameters import Kind, Parameter

SOME = jax.ShapeDtypeStruct((2, 3), jnp.float32)


def scale_by_own(x):
    """A layer with a matrix and a norm."""
    w = hk.get_parameter("w", [3, 3], init=parameters.matrix(jnp.ones))
    scale = hk.get_parameter("scale", [3], init=parameters.norm(jnp.ones))
    return (x @ w) * scale


def forward(x, is_training):
    """A model with modules of Haiku, and layers in stacks of stacks."""
    normal = hk.initializers.RandomNormal()
    x += hk.get_parameter("rows", [2, 3], init=parameters.table(normal))
    linear = hk.Linear(
        3,
        w_init=parameters.matrix(normal),
        b_init=parameters.bias(jnp.zeros),
        name="linear",
    )
    layers = lambda x: stack.stacked(scale_by_own, 4, "layers")(x)
    x = stack.stacked(layers, 2, "blocks")(linear(x))
    return stack.shared(lambda x: stack.stacked(scale_by_own, 5, "again")(x), 6)(x)


def test_kind_and_stacked_axes_of_every_parameter_are_found():
    stacked = lambda axes: {
        "w": Parameter(Kind.MATRIX, axes),
        "scale": Parameter(Kind.NORM, axes),
    }
    assert parameters.describe(forward, SOME) == {
        "~": {"rows": Parameter(Kind.TABLE, 0)},
        "linear": {"w": Parameter(Kind.MATRIX, 0), "b": Parameter(Kind.BIAS, 0)},
        "blocks/layers/~": stacked(2),
        "again/~": stacked(1),
    }


@pytest.mark.parametrize("tables", [True, False])
def test_decay_covers_matrices_and_perhaps_tables(tables):
    described = parameters.describe(forward, SOME)
    assert parameters.decays(described, tables) == {
        "~": {"rows": tables},
        "linear": {"w": True, "b": False},
        "blocks/layers/~": {"w": True, "scale": False},
        "again/~": {"w": True, "scale": False},
    }


def test_layer_axes_fit_the_parameters_that_are_made():
    params = hk.transform(forward).init(jax.random.key(0), jnp.ones((2, 3)), True)
    axes = parameters.layer_axes(parameters.describe(forward, SOME))
    lead = jax.tree.map(lambda n, x: x.shape[:n], axes, params)
    assert lead["blocks/layers/~"] == {"w": (2, 4), "scale": (2, 4)}
    assert lead["again/~"] == {"w": (5,), "scale": (5,)}
    assert lead["linear"] == {"w": (), "b": ()}


def test_how_devices_may_share_a_parameter_is_said_where_it_is_made():
    columns = parameters.Split(-1, 3)

    def layer(x):
        return x @ hk.get_parameter(
            "w", [3, 3], init=parameters.matrix(jnp.ones, columns)
        )

    def two(x, is_training):
        return scale_by_own(stack.stacked(layer, 2, "layers")(x))

    assert parameters.splits(parameters.describe(two, SOME)) == {
        "layers/~": {"w": columns},
        "~": {"w": None, "scale": None},
    }


def test_first_values_are_those_of_the_initialiser_inside():
    normal = hk.initializers.RandomNormal()
    make = lambda init: hk.transform(lambda: hk.get_parameter("w", [5], init=init))
    plain, declared = (
        make(init).init(jax.random.key(0)) for init in (normal, parameters.bias(normal))
    )
    assert (plain["~"]["w"] == declared["~"]["w"]).all()


def test_a_parameter_that_does_not_say_what_it_is_is_named():
    def silent(x, is_training):
        return stack.stacked(lambda x: hk.Linear(3, name="some")(x), 2, "layers")(x)

    with pytest.raises(ValueError, match="What is layers/some/w.*parameters.matrix"):
        parameters.describe(silent, SOME)
