"""Where arrays live."""

import jax
import numpy as np
import pytest
import regression

from perceiver_jax.engine import sharding

BATCH = {"x": np.arange(48, dtype=np.float32).reshape(16, 3), "nested": [np.ones(16)]}


def test_a_batch_is_split_over_the_devices():
    over_mesh = sharding.make_parallel("jit").place_batch(BATCH)
    assert len(over_mesh["x"].sharding.device_set) == 8
    for n, shard in enumerate(over_mesh["x"].addressable_shards):
        np.testing.assert_array_equal(shard.data, BATCH["x"][2 * n : 2 * n + 2])
    over_pmap = sharding.make_parallel("pmap").place_batch(BATCH)
    assert over_pmap["x"].shape == (8, 2, 3) and over_pmap["nested"][0].shape == (8, 2)


@pytest.mark.parametrize("compile_with", ["jit", "pmap"])
def test_a_state_comes_back_as_it_was(compile_with):
    parallel = sharding.make_parallel(compile_with)
    state = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    placed = parallel.from_saved(state)
    np.testing.assert_array_equal(parallel.to_save(placed)["w"], state["w"])
    shapes = parallel.abstract_state(lambda: {"w": jax.numpy.zeros((2, 3))})
    assert shapes["w"].shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ((8, 6), (1, 6)),
        ((6, 16), (6, 2)),
        ((8, 16), (8, 2)),  # the larger of two
        ((6, 6, 7), (6, 6, 7)),  # none divides
        ((2, 3), (2, 3)),  # too small to be worth it
    ],
)
def test_large_arrays_of_a_state_are_split(monkeypatch, shape, part):
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 40)
    parallel = sharding.make_parallel("jit", "fsdp")
    placed = parallel.from_saved({"w": np.zeros(shape)})["w"]
    assert placed.addressable_shards[0].data.shape == part
    made = parallel.initialize(lambda: {"w": jax.numpy.zeros(shape)})["w"]
    assert made.sharding == placed.sharding


@pytest.mark.parametrize(
    "parallel",
    [
        regression.one_device(),
        *(sharding.make_parallel(word) for word in ("jit", "pmap")),
    ],
)
def test_programs_that_evaluate_give_whole_arrays(parallel):
    def function(scale, batch, axis_name):
        total = sharding.psum(batch["x"].sum(), axis_name)
        return total * scale, sharding.all_gather(batch["x"], axis_name)

    program = parallel.compile_eval(function)
    scale = parallel.from_saved(np.float32(2))
    total, rows = program(scale, parallel.place_batch(BATCH))
    assert total == 2 * BATCH["x"].sum()
    np.testing.assert_array_equal(rows, BATCH["x"])


def test_one_process_is_the_first_of_one():
    assert sharding.this_process() == {"process_index": 0, "process_count": 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sharding.check_batch_size("batch_size", 12), "batch_size=12.*8 dev"),
        (lambda: sharding.check_batch_size("batch_size", 16, 4), "multiple of 32"),
        (lambda: sharding.check_batch_size("batch_size", -8), "=-8 must be 1 or more"),
        (lambda: sharding.make_parallel("gmap"), "'jit' or 'pmap'"),
        (lambda: sharding.make_parallel("pmap", "fsdp"), "'fsdp' needs"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
