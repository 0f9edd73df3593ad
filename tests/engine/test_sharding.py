"""Where arrays live."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
import regression

from perceiver_jax.engine import sharding, starting
from perceiver_jax.engine.checkpoints import checkpoint

BATCH = {"x": np.arange(48, dtype=np.float32).reshape(16, 3), "nested": [np.ones(16)]}


def test_a_batch_is_split_over_the_devices():
    over_mesh = sharding.make_parallel("jit").place_batch(BATCH)
    assert len(over_mesh["x"].sharding.device_set) == 8
    for n, shard in enumerate(over_mesh["x"].addressable_shards):
        np.testing.assert_array_equal(shard.data, BATCH["x"][2 * n : 2 * n + 2])
    in_twos = sharding.make_parallel("jit", "inputs", 4).place_batch(BATCH)
    shards = [shard.data[0, 0] for shard in in_twos["x"].addressable_shards]
    assert shards == [0.0] * 4 + [24.0] * 4
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
        *(sharding.make_parallel("jit", mode) for mode in ("fsdp", "tensor", "inputs")),
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


# Of regression's model, 8 wide: the first map by columns, the second by rows.
SPLITS = {"hidden": {"w": (-1, 8), "b": (-1, 8)}, "output": {"w": (-2, 8), "b": None}}
EVERY = {
    "replicated": sharding.make_parallel("jit"),
    "fsdp": sharding.make_parallel("jit", "fsdp"),
    "tensor": sharding.make_parallel("jit", "tensor", 4, SPLITS),
    "inputs": sharding.make_parallel("jit", "inputs", 2),
    "pmap": sharding.make_parallel("pmap"),
    "one": regression.one_device(),
}


def adam(width):
    update = regression.make_update(regression.make_model(width))
    return dataclasses.replace(update, optimizer=optax.adam(0.01))


def shape_on_a_device(x):
    return x.addressable_shards[0].data.shape


def test_moments_are_where_their_parameters_are_and_stay_there():
    parallel, update = EVERY["tensor"], adam(8)
    batch = regression.batch(0)
    state = parallel.initialize(lambda: update.init(batch))
    for _ in range(2):
        for tree in (state.params, state.opt_state[0].mu, state.opt_state[0].nu):
            shapes = jax.tree.map(shape_on_a_device, tree)
            assert shapes["hidden"] == {"w": (3, 2), "b": (2,)}
            assert shapes["output"] == {"w": (2, 1), "b": (1,)}
        assert shape_on_a_device(state.step) == ()
        step = parallel.compile_update(update)
        state, _ = step(state, parallel.place_batch(batch))


def test_stacked_layers_are_split_along_the_same_axis_as_one():
    parallel = EVERY["tensor"]
    placed = parallel.from_saved({"hidden": {"w": np.zeros((5, 2, 3, 8))}})
    assert shape_on_a_device(placed["hidden"]["w"]) == (5, 2, 3, 2)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("tensor", "replicated"),
        ("tensor", "fsdp"),
        ("fsdp", "tensor"),
        ("inputs", "one"),
        ("one", "tensor"),
        ("fsdp", "pmap"),
        ("pmap", "inputs"),
    ],
)
def test_a_run_goes_on_in_another_way(monkeypatch, tmp_path, written, read):
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 4)
    update, batch = adam(8), regression.batch(0)
    parallel = EVERY[written]
    state = parallel.initialize(lambda: update.init(batch))
    state, _ = parallel.compile_update(update)(state, parallel.place_batch(batch))
    saved = parallel.to_save(state)
    checkpoints = checkpoint.Checkpoints(tmp_path)
    checkpoints.save(1, *starting.split_state(saved), {"window": {}})
    checkpoints.close()

    parallel = EVERY[read]
    run = starting.Run(tmp_path, {})
    found, _ = starting.starting_state(
        lambda: update.init(batch),
        parallel,
        checkpoint.Checkpoints(tmp_path, read_only=True),
        run,
        1,
    )
    jax.tree.map(np.testing.assert_array_equal, saved, parallel.to_save(found))
    if read != "pmap":
        assert jax.tree.map(lambda x: x.sharding, found) == (
            parallel.state_sharding(found)
        )
    parallel.compile_update(update)(found, parallel.place_batch(batch))


def test_one_process_is_the_first_of_one():
    assert sharding.this_process() == {"process_index": 0, "process_count": 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sharding.check_batch_size("batch_size", 12), "batch_size=12.*8 dev"),
        (lambda: sharding.check_batch_size("batch_size", 16, 4), "multiple of 32"),
        (lambda: sharding.check_batch_size("batch_size", -8), "=-8 must be 1 or more"),
        (lambda: sharding.make_parallel("gmap"), "'jit' or 'pmap'"),
        (lambda: sharding.make_parallel("pmap", "fsdp"), "needs compile='jit'"),
        (lambda: sharding.make_parallel("jit", "zero"), "sharding='zero' is unknown"),
        (lambda: sharding.make_parallel("jit", "fsdp", 2), "sharding_devices=2 says"),
        (lambda: sharding.make_parallel("jit", "inputs", 3), "must divide the 8"),
        (
            lambda: sharding.make_parallel(
                "jit", "tensor", 0, {"layer": {"w": (-1, 12), "b": None}}
            ),
            "layer/w has 12 heads or channels, which sharding_devices=8 can't share",
        ),
        (
            lambda: sharding.check_batch_size("batch_size", 7, 1, EVERY["tensor"]),
            "batch_size=7 is not divisible by 2",
        ),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
