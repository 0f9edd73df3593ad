"""FLOPs counted by hand against those counted from shapes, in loops above all."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import regression
from jax.experimental import pallas
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P
from layers import MATMUL, layer, scanned, shape

from perceiver_jax.engine.costs import flops
from perceiver_jax.engine.task import Model


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(3, 5), (5, 7)]),
        ("bnhd,bmhd->bhnm", [(2, 6, 4, 3), (2, 5, 4, 3)]),
        ("i,i->", [(9,), (9,)]),
    ],
)
def test_products_cost_two_flops_for_each_combination_of_indices(equation, shapes):
    sizes = {}
    for letters, dimensions in zip(equation.split("->")[0].split(","), shapes):
        sizes |= dict(zip(letters, dimensions))
    einsum = functools.partial(jnp.einsum, equation)
    counted = flops.count_flops(einsum, *[shape(*s) for s in shapes])
    assert counted == 2 * np.prod(list(sizes.values()))


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (2, 3)])
def test_convolution_and_its_gradients_cost_one_window_per_output(stride, groups):
    images, kernels = shape(2, 8, 8, 6), shape(3, 5, 6 // groups, 12)

    def convolve(images, kernels):
        return jax.lax.conv_general_dilated(
            images,
            kernels,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    outputs = jax.eval_shape(convolve, images, kernels).size
    forward = 2 * outputs * 3 * 5 * 6 // groups
    assert flops.count_flops(convolve, images, kernels) == forward
    for argument in (0, 1):
        gradient = jax.grad(lambda *args: convolve(*args).sum(), argument)
        # A sum is linear: its gradient never needs the forward pass's result.
        backward = flops.count_flops(gradient, images, kernels) - forward
        assert backward == forward


def test_loops_count_by_their_length():
    x, stack = shape(8, 16), shape(4, 16, 16)
    assert flops.count_flops(scanned, x, stack) == 4 * MATMUL
    nested = functools.partial(scanned, num_blocks=3)
    assert flops.count_flops(nested, x, stack) == 3 * 4 * MATMUL
    unrolled = functools.partial(nested, unroll=True)
    assert flops.count_flops(unrolled, x, stack) == 3 * 4 * MATMUL
    assert flops.count_flops(jax.jit(nested), x, stack) == 3 * 4 * MATMUL
    fori = lambda x, w: jax.lax.fori_loop(2, 7, lambda _, x: layer(x, w), x)
    assert flops.count_flops(fori, x, shape(16, 16)) == 5 * MATMUL


def test_a_training_step_costs_three_forward_passes_and_four_with_remat():
    x, stack = shape(8, 16), shape(4, 16, 16)

    def step(network, x, stack):
        loss = lambda x, stack: (network(x, stack) ** 2).sum()
        value, gradients = jax.value_and_grad(loss, (0, 1))(x, stack)
        return value, jax.tree.map(lambda w, g: w - g, (x, stack), gradients)

    plain = functools.partial(step, scanned)
    assert flops.count_flops(plain, x, stack) == 3 * 4 * MATMUL
    assert flops.count_flops(jax.jit(plain), x, stack) == 3 * 4 * MATMUL
    remat = functools.partial(step, jax.checkpoint(scanned))
    assert flops.count_flops(remat, x, stack) == 4 * 4 * MATMUL


def test_branches_custom_gradients_and_vmap():
    x, w = shape(8, 16), shape(16, 16)
    twice = lambda x, w: layer(layer(x, w), w)
    branch = lambda x, w: jax.lax.cond(x[0, 0] > 0, twice, layer, x, w)
    assert flops.count_flops(branch, x, w) == 2 * MATMUL

    custom = jax.custom_vjp(layer)
    custom.defvjp(
        lambda x, w: (layer(x, w), (x, w)), lambda xw, g: (g @ xw[1].T, xw[1])
    )
    assert flops.count_flops(custom, x, w) == MATMUL
    gradient = jax.grad(lambda x, w: custom(x, w).sum())
    assert flops.count_flops(gradient, x, w) == 2 * MATMUL

    batched = jax.vmap(layer, in_axes=(0, None))
    assert flops.count_flops(batched, shape(5, 8, 16), w) == 5 * MATMUL


def test_work_split_over_devices_or_a_kernel_grid_counts_for_all_of_it():
    x, w = shape(8, 16), shape(16, 16)
    mesh = AbstractMesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    specs = {"in_specs": (P("data"), P()), "out_specs": P("data")}
    assert flops.count_flops(jax.shard_map(layer, mesh=mesh, **specs), x, w) == MATMUL
    mapped = jax.pmap(layer, in_axes=(0, None))
    assert flops.count_flops(mapped, shape(1, 8, 16), w) == MATMUL

    def kernel(x, w, out):
        out[...] = x[...] @ w[...]

    rows = pallas.BlockSpec((2, 16), lambda i: (i, 0))
    weights = pallas.BlockSpec((16, 16), lambda i: (0, 0))
    product = pallas.pallas_call(
        kernel, out_shape=x, grid=(4,), in_specs=[rows, weights], out_specs=rows
    )
    assert flops.count_flops(product, x, w) == MATMUL


def test_model_s_size_is_that_of_one_example():
    found = flops.model_size(regression.make_model(width=5))
    assert found.parameters == (3 * 5 + 5) + (5 + 1)
    assert found.flops == 2 * (3 * 5 + 5)


def test_model_that_only_trains_otherwise_has_the_size_of_its_forward_pass():
    def forward(batch, is_training):
        x = hk.BatchNorm(True, True, 0.9)(batch["x"], is_training)
        return hk.Linear(7)(x) if not is_training else hk.Linear(7)(x) * 2

    model = regression.make_model()
    found = flops.model_size(Model(forward, model.example, model.metrics))
    assert found == (3 + 3 + 3 * 7 + 7, 2 * 3 * 7)
