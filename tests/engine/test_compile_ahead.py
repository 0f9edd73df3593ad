"""FLOPs counted by hand against FLOPs counted by `cost`, in loops above all."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas
from jax.sharding import AbstractMesh, NamedSharding
from jax.sharding import PartitionSpec as P

from perceiver_jax.engine import compile_ahead, flops

MATMUL = 2 * 8 * 16 * 16  # [8, 16] times [16, 16]


def shape(*dimensions):
    return jax.ShapeDtypeStruct(dimensions, jnp.float32)


def layer(x, w):
    return jnp.tanh(x @ w)


def scanned(x, stack, num_blocks=1, unroll=False):
    """Runs the layers of a stack, and all of them again in each block."""

    def block(x, _):
        return jax.lax.scan(lambda x, w: (layer(x, w), None), x, stack, unroll=unroll)

    return jax.lax.scan(block, x, None, length=num_blocks, unroll=unroll)[0]


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
    auto = jax.sharding.AxisType.Auto
    mesh = AbstractMesh((4,), ("data",), axis_types=(auto,))
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


def test_program_without_loops_costs_what_xla_says():
    function = lambda x, w: (layer(layer(x, w), w) ** 2).sum()
    compiled = jax.jit(jax.grad(function)).lower(shape(8, 16), shape(16, 16)).compile()
    program, xla = compile_ahead.program_cost(compiled), compiled.cost_analysis()
    assert program.flops == xla["flops"]
    assert program.bytes_accessed == xla["bytes accessed"]
    assert program.argument_bytes == 4 * (8 * 16 + 16 * 16)
    assert program.output_bytes == 4 * 8 * 16
    assert program.unknown_loops == 0


def test_donated_arguments_are_not_held_twice():
    x = shape(64, 64)
    compiled = jax.jit(lambda x: x + 1, donate_argnums=0).lower(x).compile()
    program = compile_ahead.program_cost(compiled)
    assert program.aliased_bytes == program.output_bytes == 4 * 64 * 64
    assert program.total_bytes == 4 * 64 * 64 + program.temp_bytes


def scanned_and_unrolled(x, stack):
    """The same network compiled both ways: as loops in loops, and without any."""
    for unroll in (False, True):
        network = functools.partial(scanned, num_blocks=3, unroll=unroll)
        compiled = jax.jit(network).lower(x, stack).compile()
        assert ("while(" in compiled.as_text()) is not unroll
        yield compiled


def assert_loops_cost_as_much_unrolled(x, stack, num_devices):
    loop, unrolled = scanned_and_unrolled(x, stack)
    network = functools.partial(scanned, num_blocks=3)
    products = flops.count_flops(network, x, stack) / num_devices
    # XLA alone sees one of the 18 layers: the reason for this module.
    np.testing.assert_allclose(loop.cost_analysis()["flops"], products / 18, rtol=0.1)
    looped, flat = (
        compile_ahead.program_cost(loop),
        compile_ahead.program_cost(unrolled),
    )
    assert looped.unknown_loops == flat.unknown_loops == 0
    np.testing.assert_allclose(looped.flops, flat.flops, rtol=0.02)
    np.testing.assert_allclose(looped.flops, products, rtol=0.02)
    return looped, flat


def test_program_with_loops_costs_what_it_costs_unrolled():
    x, stack = shape(64, 512), shape(6, 512, 512)
    looped, _ = assert_loops_cost_as_much_unrolled(x, stack, num_devices=1)
    # Each layer slices its own weights out (a read and a write) and then reads them.
    # Were a slice to cost the whole stack, this would be six times as much.
    weights = 3 * 4 * np.prod(stack.shape)
    assert 3 * weights < looped.bytes_accessed < 4 * weights


def test_loop_accesses_as_many_bytes_as_unrolled():
    def repeated(x, w, unroll):
        step = lambda x, _: (layer(x, w), None)
        return jax.lax.scan(step, x, None, length=12, unroll=unroll)[0]

    looped, flat = (
        compile_ahead.program_cost(
            jax.jit(functools.partial(repeated, unroll=unroll))
            .lower(shape(64, 512), shape(512, 512))
            .compile()
        )
        for unroll in (False, True)
    )
    assert looped.bytes_accessed > 12 * 4 * 512 * 512
    # The loop also counts its steps; nothing else differs.
    np.testing.assert_allclose(looped.bytes_accessed, flat.bytes_accessed, rtol=0.05)


def test_loop_of_unknown_length_counts_once_and_is_reported():
    def until_small(x, w):
        return jax.lax.while_loop(lambda x: x.sum() > 1, lambda x: layer(x, w), x)

    compiled = jax.jit(until_small).lower(shape(8, 16), shape(16, 16)).compile()
    program = compile_ahead.program_cost(compiled)
    assert program.unknown_loops == 1
    assert MATMUL <= program.flops < 2 * MATMUL
    assert flops.count_flops(until_small, shape(8, 16), shape(16, 16)) == MATMUL


@pytest.mark.usefixtures("tpu_flags")
def test_tpu_program_with_loops_costs_what_it_costs_unrolled():
    mesh = compile_ahead.tpu_mesh("v5e:2x2")
    place = lambda like, spec: like.update(sharding=NamedSharding(mesh, spec))
    x = place(shape(256, 512), P("data"))
    stack = place(shape(6, 512, 512), P())
    looped, flat = assert_loops_cost_as_much_unrolled(x, stack, num_devices=4)
    # A device holds a quarter of the batch and all of the weights.
    assert looped.argument_bytes == 4 * (256 * 512 // 4 + 6 * 512 * 512)
    assert looped.output_bytes == 4 * 256 * 512 // 4
    # Unrolled, weights are cast to bfloat16 where they are read; looped, beforehand.
    assert 0.5 < looped.bytes_accessed / flat.bytes_accessed < 2


@pytest.mark.parametrize(
    ("name", "num_devices"),
    [
        ("v5e:1x1", 1),
        ("v5e:2x2", 4),
        ("v5e:8x8", 64),
        ("v4:2x2x1", 4),
        ("v4:4x4x4", 64),
    ],
)
def test_tpu_mesh_has_a_device_per_chip(name, num_devices):
    mesh = compile_ahead.tpu_mesh(name)
    assert dict(mesh.shape) == {"data": num_devices}
    assert mesh.axis_types == (jax.sharding.AxisType.Auto,)


@pytest.mark.parametrize("name", ["v4", "8x8", "v5e-4", "v9:2x2", "v5e:7x9"])
def test_wrong_topology_is_named_beside_right_ones(name):
    with pytest.raises(ValueError, match=f"'{name}' is not .* v5e:8x8, .* v4:4x4x4"):
        compile_ahead.tpu_mesh(name)


def test_missing_libtpu_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install libtpu"):
        compile_ahead.tpu_mesh("v5e:2x2")
