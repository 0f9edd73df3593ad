"""A step taken apart: numpy's losses and gradients, on any devices."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
import regression

from perceiver_jax.engine import replay, sharding

SIZE = 16
NAMES = [f"file {row}" for row in range(SIZE)]
# As if the rows of the first module were layers of a stack.
AXES = {"hidden": {"w": 1, "b": 1}, "output": {"w": 0, "b": 0}}

EIGHT = sharding.OverMesh(sharding.make_mesh())
EVERY = {
    "one": regression.one_device(),
    "eight": EIGHT,
    "sharded": sharding.OverMesh(sharding.make_mesh(), "fsdp"),
    "pmap": sharding.OverPmap(),
}


def batch():
    """Rows of which one is masked."""
    found = regression.batch(0, SIZE)
    found["mask"][3] = 0
    return found


def look(data, parallel, model=None, change=lambda params: params, **fields):
    """Takes a step of the regression apart, and returns the state before it too."""
    model = model or regression.make_model()
    update = dataclasses.replace(regression.make_update(model), **fields)
    state = parallel.initialize(lambda: update.init(model.batch(SIZE)))
    state = parallel.from_saved(parallel.to_save(state))
    state = state._replace(params=change(state.params))
    before = jax.device_get(parallel.to_save(state))
    found, after = replay.look(update, parallel, AXES, state, data, NAMES)
    jax.tree.map(
        np.testing.assert_array_equal, before, jax.device_get(parallel.to_save(after))
    )
    return found, before


@pytest.mark.parametrize("parallel", EVERY.values(), ids=EVERY)
def test_losses_and_gradients_are_those_of_numpy(parallel):
    data = batch()
    found, state = look(data, parallel)
    first, second = (state.params[name] for name in ("hidden", "output"))
    hidden = data["x"] @ first["w"] + first["b"]
    error = (hidden @ second["w"] + second["b"])[:, 0] - data["y"]

    losses = {e.row: e.metrics.get("loss") for e in found.examples}
    assert losses.pop(3) is None  # it has no weight
    for row, loss in losses.items():
        assert loss == pytest.approx(error[row] ** 2, rel=1e-4)
    assert {e.row: e.name for e in found.examples} == dict(enumerate(NAMES))
    order = [e.loss for e in found.examples]
    assert order == sorted(order, reverse=True)
    assert not any(e.alone for e in found.examples) and not found.guilty

    outer = 2 * error * data["mask"] / data["mask"].sum()
    inner = outer[:, None] * second["w"][:, 0]
    gradients = {
        "hidden": (data["x"].T @ inner, inner.sum(0)),
        "output": (hidden.T @ outer, outer.sum()),
    }
    layers = {layer.title: layer for layer in found.layers}
    assert list(layers) == [*(f"hidden layer {n}" for n in range(3)), "output"]
    for name, arrays in gradients.items():
        rows = range(3) if name == "hidden" else [...]
        for row in rows:
            layer = layers["output" if row is ... else f"hidden layer {row}"]
            norm = np.sqrt(sum(np.sum(np.square(x[row])) for x in arrays))
            assert layer.gradient == pytest.approx(norm, rel=1e-4)
            assert layer.update == pytest.approx(0.01 * norm, rel=1e-4)
            kept = state.params[name].values()
            norm = np.sqrt(sum(np.sum(np.square(x[row])) for x in kept))
            assert layer.parameter == pytest.approx(norm, rel=1e-5)
    total = np.sqrt(sum(np.sum(np.square(x)) for g in gradients.values() for x in g))
    assert found.metrics["grad_norm"] == pytest.approx(total, rel=1e-4)


def dropping():
    """The regression with dropout and BatchNorm over eight devices."""

    def forward(batch, is_training):
        axis = None if hk.running_init() else sharding.AXIS
        x = hk.Linear(3, name="hidden")(batch["x"])
        x = hk.BatchNorm(False, False, 0.9, cross_replica_axis=axis)(x, is_training)
        x = hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x
        return hk.Linear(1, name="output")(x)[:, 0]

    return dataclasses.replace(regression.make_model(), forward=forward)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_examples_are_seen_as_the_step_sees_them(accumulate):
    """Their mean is the step's loss, whatever was dropped and normalised."""
    found, _ = look(batch(), EIGHT, dropping(), accumulate=accumulate)
    losses = [e.loss for e in found.examples if "loss" in e.metrics]
    assert len(losses) == SIZE - 1
    assert np.mean(losses) == pytest.approx(found.metrics["loss"], rel=1e-5)


@pytest.mark.parametrize("parallel", EVERY.values(), ids=EVERY)
def test_the_example_that_is_not_finite_is_named(parallel):
    data = batch()
    data["x"][5, 1] = np.nan
    found, _ = look(data, parallel)
    assert found.examples[0].name == "file 5" and np.isnan(found.examples[0].loss)
    assert [e.name for e in found.guilty] == ["file 5"]
    assert [e.name for e in found.examples if e.alone] == ["file 5"]
    assert all(np.isnan(layer.gradient) for layer in found.layers)


def test_it_is_found_among_those_that_it_spoils():
    data = batch()
    data["x"][5, 1] = np.nan
    found, _ = look(data, EIGHT, dropping())
    assert sum(np.isnan(e.loss) for e in found.examples) > SIZE // 2
    assert [e.name for e in found.guilty] == ["file 5"]


def bent():
    """The regression, whose gradient is infinite where the first number is 0."""

    def forward(batch, is_training):
        plain = regression.make_model().forward(batch, is_training)
        w = hk.get_parameter("root", [], init=jnp.ones)
        return plain + jnp.sqrt(jnp.abs(w * batch["x"][:, 0]))

    return dataclasses.replace(regression.make_model(), forward=forward)


def test_it_is_found_by_its_gradient_where_all_losses_are_finite(monkeypatch):
    data = batch()
    data["x"][7, 0] = 0
    monkeypatch.setitem(AXES, "~", {"root": 0})
    found, _ = look(data, EIGHT, bent())
    assert np.isfinite([e.loss for e in found.examples]).all()
    assert not np.isfinite(found.metrics["grad_norm"])
    assert [e.name for e in found.guilty] == ["file 7"]
    assert sum(bool(e.alone) for e in found.examples) == SIZE


def test_no_example_is_to_blame_for_parameters_that_are_not_finite():
    def spoil(params):
        spoilt = params["output"] | {"b": params["output"]["b"] + jnp.inf}
        return {**params, "output": spoilt}

    found, _ = look(batch(), EIGHT, change=spoil)
    broken = [x.title for x in found.layers if not np.isfinite(x.parameter)]
    assert broken == ["output"] and not found.guilty
    assert not any(e.alone for e in found.examples)


def test_norms_do_not_overflow_where_numbers_do_not():
    def enlarge(params):
        return {**params, "hidden": jax.tree.map(lambda x: 1e30 * x, params["hidden"])}

    found, state = look(batch(), EIGHT, change=enlarge)
    column = state.params["hidden"]["w"][0].astype(np.float64)
    norm = np.sqrt(np.sum(column**2))
    assert found.layers[0].parameter == pytest.approx(norm, rel=1e-5)


PROGRAM = """
import json, sys, jax, numpy as np
jax.distributed.initialize(f"127.0.0.1:{sys.argv[1]}", 2, int(sys.argv[2]))
import test_replay
data = test_replay.batch()
data["x"][13, 1] = np.nan
mine = slice(8 * jax.process_index(), 8 * jax.process_index() + 8)
found, _ = test_replay.look({k: x[mine] for k, x in data.items()}, test_replay.EIGHT)
print(json.dumps([[e.name for e in found.guilty], [e.metrics for e in found.examples]]))
"""


def test_two_processes_find_what_one_finds():
    """The second one has the bad example."""
    port = programs.free_port()
    folders = (programs.ROOT, programs.ROOT / "tests", pathlib.Path(__file__).parent)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port), str(index)],
            env={
                **programs.environment(),
                "PYTHONPATH": os.pathsep.join(map(str, folders)),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    told = [process.communicate(timeout=200) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    data = batch()
    data["x"][13, 1] = np.nan
    one, _ = look(data, EIGHT)
    for output, _ in told:
        names, rows = json.loads(output.splitlines()[-1])
        assert names == [e.name for e in one.guilty] == ["file 13"]
        for row, example in zip(rows, one.examples, strict=True):
            assert row == pytest.approx(example.metrics, rel=1e-5, nan_ok=True)
