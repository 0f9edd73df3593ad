"""What compiled programs cost, loops counted as often as they run."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from layers import MATMUL, layer, scanned, shape

from perceiver_jax.engine import sharding
from perceiver_jax.engine.costs import compile_ahead, flops


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


def mapped(function, mesh, split_in, split_out):
    return jax.jit(
        jax.shard_map(
            function, mesh=mesh, in_specs=split_in, out_specs=split_out, check_vma=False
        )
    )


@pytest.mark.parametrize(
    ("function", "split_out", "kind", "size"),
    [
        (lambda x: jax.lax.psum(x, "data"), P(), "all-reduce", 2 * 16),
        (
            lambda x: jax.lax.all_gather(x, "data", tiled=True),
            P(),
            "all-gather",
            8 * 16,
        ),
        (
            lambda x: jax.lax.psum_scatter(x, "data", scatter_dimension=1, tiled=True),
            P(None, "data"),
            "reduce-scatter",
            2 * 16,
        ),
        (
            lambda x: jax.lax.all_to_all(x, "data", 1, 0, tiled=True),
            P(None, "data"),
            "all-to-all",
            2 * 16,
        ),
        (
            lambda x: jax.lax.ppermute(x, "data", [(i, (i + 1) % 4) for i in range(4)]),
            P("data"),
            "collective-permute",
            2 * 16,
        ),
    ],
)
@pytest.mark.parametrize("repeats", [1, 5])
def test_each_collective_counts_as_often_as_it_runs(
    function, split_out, kind, size, repeats
):
    """[8, 16] of float32 over four devices: each has [2, 16]."""
    mesh = sharding.make_mesh(jax.devices()[:4])

    def repeated(x):
        # Each pass has an input of its own, so that none is moved out of the loop.
        each = x[None] * jnp.arange(1.0, repeats + 1)[:, None, None]
        return jax.lax.map(function, each).sum(0)

    program = mapped(repeated if repeats > 1 else function, mesh, P("data"), split_out)
    found = compile_ahead.collectives(program.lower(shape(8, 16)).compile())
    assert found == {kind: (repeats, repeats * 4 * size)}


def test_a_program_of_one_device_exchanges_nothing():
    compiled = jax.jit(layer).lower(shape(8, 16), shape(16, 16)).compile()
    assert compile_ahead.collectives(compiled) == {}


# As the TPU compiler writes them, cut down: a gathering that begins in one fusion, goes
# on beside other work in a second and ends in a third; a reduction of which each device
# keeps a part; and one that starts and ends apart, in a loop.
TPU_PROGRAM = """HloModule jit_step

%begin (a: f32[4,16]) -> (f32[4,16], f32[16,16]) {
  %a = f32[4,16]{1,0:T(8,128)} parameter(0)
  %all-gather.1 = f32[16,16]{1,0} all-gather(%a), channel_id=1, frontend_attributes={chain_id="5"}
  ROOT %b = (f32[4,16]{1,0}, f32[16,16]{1,0}) custom-call(%all-gather.1), custom_call_target="AsyncCollectiveStart"
}

%go_on (c: f32[4,16]) -> f32[16,16] {
  %c = f32[4,16]{1,0} parameter(0)
  ROOT %all-gather.2 = f32[16,16]{1,0} all-gather(%c), channel_id=1, frontend_attributes={chain_id="5"}
}

%end (d: f32[4,16]) -> f32[16,16] {
  %d = f32[4,16]{1,0} parameter(0)
  %all-gather.3 = f32[16,16]{1,0} all-gather(%d), channel_id=1, frontend_attributes={chain_id="5"}
  ROOT %e = f32[16,16]{1,0} custom-call(%all-gather.3), custom_call_target="AsyncCollectiveDone"
}

%all-reduce-scatter.1 (f: bf16[16,16]) -> bf16[16,4] {
  %f = bf16[16,16]{1,0} parameter(0)
  %all-reduce.1 = bf16[16,16]{1,0} all-reduce(%f), to_apply=%add
  ROOT %g = bf16[16,4]{1,0} dynamic-slice(%all-reduce.1), dynamic_slice_sizes={16,4}
}

%body (h: f32[4,16]) -> f32[4,16] {
  %h = f32[4,16]{1,0} parameter(0)
  %start = (f32[4,16]{1,0}, f32[4,16]{1,0}, u32[]) collective-permute-start(%h)
  ROOT %done = f32[4,16]{1,0} collective-permute-done(%start)
}

%condition (i: f32[4,16]) -> pred[] {
  ROOT %i = pred[] parameter(0)
}

ENTRY %main (j: f32[4,16]) -> bf16[16,4] {
  %j = f32[4,16]{1,0} parameter(0)
  %k = f32[4,16]{1,0} while(%j), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"7"}}
  %l = (f32[4,16]{1,0}, f32[16,16]{1,0}) fusion(%k), kind=kCustom, calls=%begin
  %m = f32[16,16]{1,0} fusion(%k), kind=kCustom, calls=%go_on
  %n = f32[16,16]{1,0} fusion(%m), kind=kCustom, calls=%end
  ROOT %o = bf16[16,4]{1,0} fusion(%n), kind=kCustom, calls=%all-reduce-scatter.1
}
"""  # noqa: E501


def test_collectives_are_found_as_the_tpu_compiler_writes_them():
    class Compiled:
        def as_text(self):
            return TPU_PROGRAM

    assert compile_ahead.collectives(Compiled()) == {
        "all-gather": (1, 4 * 16 * 16),
        "reduce-scatter": (1, 2 * 16 * 16),
        "collective-permute": (7, 7 * 4 * 4 * 16),
    }
