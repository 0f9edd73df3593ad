"""What works on the latents: scans as plain loops over layers."""

import functools

import haiku as hk
import jax
import numpy as np
import pytest
from jaxprs import count_equations
from judge import normal, random_like

from perceiver_jax.engine.costs import flops as flops_module
from perceiver_jax.model import attention, processor

WIDTH, CHANNELS = 8, 6
make_self = functools.partial(attention.SelfAttention, 2)
make_cross = functools.partial(attention.CrossAttention, 1)


def random_params(module, *args):
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *args))
    return random_like(shapes, scale=0.4)


def make(
    inputs,
    num_blocks=4,
    layers_per_block=2,
    num_cross_attends=1,
    dropout=0.0,
    **options,
):
    """(latents) -> latents as a Haiku function that is given its key."""
    blocks = (
        num_blocks,
        layers_per_block,
        functools.partial(make_self, dropout_rate=dropout),
    )
    cross_attention = functools.partial(make_cross, dropout_rate=dropout)

    def process(latents):
        if num_cross_attends == 1:
            return processor.Processor(*blocks, **options)(latents, is_training=True)
        module = processor.IterativeProcessor(
            *blocks, num_cross_attends, cross_attention, **options
        )
        return module(latents, inputs, is_training=True)

    return hk.transform(process)


def module_slice(params, prefix, index):
    """The parameters of one layer of a stack, as of a module on its own."""
    return {
        module.removeprefix(prefix): {
            name: array[index] for name, array in arrays.items()
        }
        for module, arrays in params.items()
        if module.startswith(prefix)
    }


process = jax.jit(hk.transform(lambda x: make_self()(x)).apply)
look = jax.jit(hk.transform(lambda x, inputs: make_cross()(x, inputs)).apply)


def plain_loop(params, latents, inputs, num_cross, shared, at_start):
    """4 blocks of 2 layers and the later cross-attends, one call after the other."""

    def cross(latents, number):
        prefix, index = "iterative_processor/", ()
        if not shared:
            prefix += "cross_attends/" if at_start else "segments/"
            index = number - 1
        cross_params = module_slice(params, prefix, index)
        only_cross = {k: v for k, v in cross_params.items() if k.startswith("cross")}
        return look(only_cross, None, latents, inputs)

    def block(latents, number):
        segment, within = divmod(number, 4 // num_cross)
        prefix = "processor/" if num_cross == 1 else "iterative_processor/processor/"
        for layer in range(2):
            if shared:
                blocks, index = "block/layers/", layer
            elif at_start or segment == 0:
                blocks, index = "blocks/block/layers/", (number, layer)
            else:
                prefix = "iterative_processor/segments/processor/"
                blocks, index = "blocks/block/layers/", (segment - 1, within, layer)
            latents = process(
                module_slice(params, prefix + blocks, index), None, latents
            )
        return latents

    if at_start:
        for number in range(1, num_cross):
            latents = cross(latents, number)
    for number in range(4):
        segment, within = divmod(number, 4 // num_cross)
        if not at_start and segment and not within:
            latents = cross(latents, segment)
        latents = block(latents, number)
    return latents


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("num_cross", "at_start"),
    [(1, False), (2, False), (4, False), (2, True), (4, True)],
)
def test_scans_are_plain_loops_over_layers(num_cross, shared, at_start):
    latents, inputs = normal(2, 3, WIDTH), normal(2, 5, CHANNELS, seed=1)
    options = {"cross_attends_at_start": True} if at_start else {}
    module = make(inputs, num_cross_attends=num_cross, share_weights=shared, **options)
    params = random_params(module, latents)
    layers = [a.size for m, p in params.items() for a in p.values() if "self_" in m]
    crosses = [a.size for m, p in params.items() for a in p.values() if "cross_" in m]
    one_layer = 4 * (WIDTH**2 + WIDTH) + 2 * (WIDTH**2 + WIDTH) + 4 * WIDTH
    assert sum(layers) == one_layer * 2 * (1 if shared else 4)
    count = min(num_cross - 1, 1) if shared else num_cross - 1
    one_cross = sum(crosses) // max(count, 1)
    assert sum(crosses) == one_cross * count

    expected = plain_loop(params, latents, inputs, num_cross, shared, at_start)
    outputs = jax.jit(module.apply)(params, None, latents)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_layers_of_a_stack_start_from_different_weights():
    module = make(None, share_weights=False)
    params = jax.jit(module.init)(jax.random.key(0), normal(1, 3, WIDTH))
    w = params["processor/blocks/block/layers/self_attention/mlp/hidden"]["w"]
    assert w.shape == (4, 2, WIDTH, WIDTH)
    assert len(np.unique(w.reshape(8, -1)[:, 0])) == 8


def test_recomputing_layers_changes_no_value_and_no_gradient():
    latents, inputs = normal(2, 3, WIDTH), normal(2, 5, CHANNELS, seed=1)
    # Layers with their own weights in a block, shared blocks, and dropout.
    options = {
        "num_blocks": 2,
        "num_cross_attends": 2,
        "cross_attends_at_start": True,
        "dropout": 0.3,
    }

    def value_and_gradients(remat, params=None):
        module = make(inputs, remat=remat, **options)
        if params is None:
            params = random_params(module, latents)
        loss = lambda *args: (
            module.apply(args[0], jax.random.key(1), args[1]) ** 2
        ).sum()
        compute = jax.value_and_grad(loss, (0, 1))
        flops = flops_module.count_flops(compute, params, latents)
        return *jax.jit(compute)(params, latents), params, flops

    value, gradients, params, flops = value_and_gradients(False)
    same_value, same_gradients, _, more_flops = value_and_gradients(True, params)
    assert more_flops > 1.1 * flops, "layers are computed again"
    np.testing.assert_allclose(same_value, value, rtol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4),
        same_gradients,
        gradients,
    )


@pytest.mark.parametrize("shared", [True, False])
def test_traces_do_not_grow_with_depth(shared):
    latents, inputs = normal(1, 3, WIDTH), normal(1, 5, CHANNELS, seed=1)

    def size(num_blocks, layers_per_block, num_cross):
        module = make(
            inputs,
            num_blocks,
            layers_per_block,
            num_cross,
            share_weights=shared,
        )
        params = jax.eval_shape(lambda: module.init(jax.random.key(0), latents))
        loss = lambda params: module.apply(params, None, latents).sum()
        return count_equations(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)

    assert size(2, 2, 1) == size(16, 2, 1) == size(2, 16, 1)
    assert size(6, 2, 3) == size(32, 16, 16)


def test_cross_attends_that_cannot_be_spread_are_refused():
    build = lambda at_start: hk.transform(
        lambda: processor.IterativeProcessor(8, 1, make_self, 3, make_cross, at_start)
    ).init(jax.random.key(0))
    with pytest.raises(ValueError, match="num_cross_attends=3 .* num_blocks=8"):
        build(at_start=False)
    build(at_start=True)
