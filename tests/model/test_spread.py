"""Attention whose long axis is in parts, each on a device of its own."""

import contextlib

import jax
import numpy as np
import pytest
from judge import normal, numpy_attend

from perceiver_jax.model import kernel, spread

MESH = jax.sharding.Mesh(
    np.reshape(jax.devices(), (2, 4)),
    ("data", spread.AXIS),
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
)


def under_mesh():
    return jax.sharding.use_abstract_mesh(MESH.abstract_mesh)


def on_devices(function, *arrays):
    """Runs a function where it can see the mesh."""

    def run(*arrays):
        with under_mesh():
            return function(*arrays)

    whole = jax.sharding.NamedSharding(MESH, jax.sharding.PartitionSpec())
    return jax.jit(run)(*jax.device_put(arrays, whole))


@pytest.mark.parametrize("key_chunk", [4096, 2])
@pytest.mark.parametrize(
    ("long_axis", "query_batch", "masked"),
    [("inputs", 1, True), ("inputs", 2, False), ("queries", 2, True)],
)
def test_attention_and_gradients_are_numpy_s_and_those_of_one_device(
    monkeypatch, key_chunk, long_axis, query_batch, masked
):
    query = normal(query_batch, 8, 3, 4, seed=1)
    key, value = normal(2, 20, 1, 4, seed=2), normal(2, 20, 3, 6, seed=3)
    mask = np.ones((2, 20), bool)
    mask[0, 3:12] = False  # all keys of one device, and some of others
    mask[1] = False
    target = normal(2, 8, 3, 6, seed=4)

    def loss(arrays, long_axis=None):
        outputs = kernel.attend(*arrays, mask if masked else None, long_axis)
        return (outputs * target).sum(), outputs

    gradient = jax.grad(loss, has_aux=True)
    expected, _ = jax.jit(gradient)((query, key, value))
    monkeypatch.setattr(kernel, "KEY_CHUNK", key_chunk)
    shared = lambda *arrays: gradient(arrays, long_axis)
    assert "shard_map" not in str(jax.make_jaxpr(shared)(query, key, value))
    found, outputs = on_devices(shared, query, key, value)
    judged = numpy_attend(query, key, value, mask if masked else None)
    np.testing.assert_allclose(outputs, judged, atol=1e-5)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("long_axis", ["inputs", "queries"])
def test_each_device_sees_its_part(long_axis):
    query, key = normal(2, 8, 1, 4), normal(2, 20, 1, 4)
    attend = lambda *arrays: kernel.attend(*arrays, None, long_axis)
    with under_mesh():
        program = str(jax.make_jaxpr(attend)(query, key, key))
    inside = {"inputs": "f32[2,1,8,5]", "queries": "f32[2,1,2,20]"}[long_axis]  # scores
    assert "shard_map" in program and inside in program


def test_placing_pads_and_masks():
    x, mask = normal(2, 6, 3), np.ones((2, 6), bool)
    mask[0, 2] = False
    padded, valid = on_devices(spread.place, x, mask)
    assert padded.addressable_shards[0].data.shape[1] == 2
    np.testing.assert_array_equal(padded[:, :6], x)
    np.testing.assert_array_equal(padded[:, 6:], 0)
    np.testing.assert_array_equal(valid, np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_array_equal(on_devices(spread.place, x)[1].sum(1), 6)
    assert on_devices(spread.place, x[:, :4])[1] is None


@pytest.mark.parametrize(
    ("length", "mesh"), [(3, under_mesh()), (8, contextlib.nullcontext())]
)
def test_a_short_axis_stays_whole_as_does_every_one_without_devices(length, mesh):
    x = normal(2, length, 3)
    with mesh:
        assert spread.num_parts(length) == 1
        assert spread.place(x)[0] is x
