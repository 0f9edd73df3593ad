"""What compiled programs cost, loops counted as often as they run."""

import functools
import importlib.util

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from layers import MATMUL, layer, scanned, shape

from perceiver_jax.engine import compile_ahead, flops


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
