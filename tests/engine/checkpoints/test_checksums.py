"""Any flipped bit changes a checksum; how an array lies on devices does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from perceiver_jax.engine import sharding
from perceiver_jax.engine.checkpoints.checksums import checksums_of


def random(dtype, *shape):
    size = int(np.prod(shape)) * jnp.dtype(dtype).itemsize
    bits = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    return bits.view(dtype).reshape(shape)


def value(array):
    return checksums_of({"a": array})["a"].value


def by_numpy(array):
    """The two sums, in NumPy's words."""
    bits = array.view(f"uint{8 * array.dtype.itemsize}").astype(np.uint64).reshape(-1)
    wrap = np.uint64(2**32 - 1)
    keyed = bits ^ (np.arange(bits.size, dtype=np.uint64) * 0x9E3779B1 & wrap)
    told = ""
    for first, factor, second, other, third in (
        (16, 0x85EBCA6B, 13, 0xC2B2AE35, 16),
        (16, 0x7FEB352D, 15, 0x846CA68B, 16),
    ):
        mixed = (keyed ^ (keyed >> np.uint64(first))) * np.uint64(factor) & wrap
        mixed = (mixed ^ (mixed >> np.uint64(second))) * np.uint64(other) & wrap
        mixed ^= mixed >> np.uint64(third)
        told += f"{int(mixed.sum()) % 2**32:08x}"
    return told


@pytest.mark.parametrize("dtype", ["float32", "int32", jnp.bfloat16, "float16", "int8"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)])
def test_value_is_that_of_numpy(dtype, shape):
    array = random(dtype, *shape)
    assert value(array) == value(jnp.asarray(array)) == by_numpy(array)


@pytest.mark.parametrize("dtype", ["float32", jnp.bfloat16])
def test_each_flipped_bit_changes_both_halves(dtype):
    array = random(dtype, 2, 3)
    before = value(array)
    for bit in range(8 * array.nbytes):
        flipped = array.copy()
        flipped.reshape(-1).view(np.uint8)[bit // 8] ^= 1 << bit % 8
        after = value(flipped)
        assert after[:8] != before[:8] and after[8:] != before[8:], bit


def test_elements_in_other_places_change_it():
    array = random("float32", 4, 4)
    others = [array.T, array[::-1], np.roll(array, 1, axis=1), np.zeros_like(array)]
    values = {value(np.ascontiguousarray(other)) for other in (array, *others)}
    assert len(values) == 5


@pytest.mark.parametrize(
    "spec", [(), ("data",), (None, "data"), (None, None, "data")], ids=str
)
def test_devices_that_hold_it_do_not_change_it(spec):
    array = random("float32", 8, 16, 24)
    split = NamedSharding(sharding.make_mesh(), PartitionSpec(*spec))
    assert value(jax.device_put(array, split)) == value(array)


def test_copies_of_parts_count_once():
    devices = np.array(jax.devices()).reshape(2, 4)
    mesh = jax.sharding.Mesh(devices, ("data", "model"))
    array = random(jnp.bfloat16, 6, 16)
    split = NamedSharding(mesh, PartitionSpec(None, "model"))  # twice over "data"
    assert value(jax.device_put(array, split)) == value(array)


def test_shape_and_type_are_told():
    found = checksums_of({"b": np.zeros((2, 3), bool), "n": np.int32(7)})
    assert [(name, x.shape, x.dtype) for name, x in found.items()] == [
        ("b", (2, 3), "bool"),
        ("n", (), "int32"),
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_split", [True, False])
def test_what_is_not_finite_is_told(wrong, is_split):
    array = np.zeros(16, np.float32)
    array[11] = wrong
    if is_split:
        split = NamedSharding(sharding.make_mesh(), PartitionSpec("data"))
        array = jax.device_put(array, split)
    found = checksums_of({"bad": array, "good": np.ones(3, np.float32)})
    assert not found["bad"].is_finite and found["good"].is_finite


def test_wide_elements_are_refused():
    with pytest.raises(ValueError, match="m/w is float64.*32 bits or less"):
        checksums_of({"m": {"w": np.ones(2)}})
