"""The engine on a small regression, and on the digits task across devices."""

import dataclasses
import itertools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import digits
from experiments import build
from perceiver_jax.data import loader, sources
from perceiver_jax.engine import (
    checkpoint,
    evaluation,
    init_from,
    sharding,
    training,
    update,
)
from perceiver_jax.engine import optimizer as optimizers
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.writer import METRICS, read_metrics

FLOAT32 = parse_policy("params=float32,compute=float32,output=float32")
SETTINGS = training.Settings(
    total_steps=6,
    batch_size=8,
    log_every=2,
    eval_every=3,
    checkpoint_every=2,
    keep_last=10,
)


def regression(width=3, poisoned_step=None):
    """Fits y = x @ [1, 2, 3]; step `poisoned_step` holds a NaN."""

    def batch(seed):
        x = np.random.default_rng(seed).normal(size=(8, 3)).astype(np.float32)
        if seed == poisoned_step:
            x[0, 0] = np.nan
        return {"x": x, "y": x @ np.float32([1, 2, 3]), "mask": np.ones(8, np.float32)}

    def train_data(start_step):
        step = start_step
        while True:
            step += 1
            yield batch(step)

    def forward(batch, is_training):
        del is_training
        hidden = hk.Linear(width, name="hidden")(batch["x"])
        return hk.Linear(1, name="output")(hidden)[:, 0]

    def metrics(outputs, batch):
        loss = (outputs - batch["y"]) ** 2
        return {"loss": (loss, batch["mask"]), "score": (-loss, batch["mask"])}

    return Task(
        name="regression",
        num_train_examples=lambda: 64,
        train_data=train_data,
        eval_data={"test": lambda: [batch(1000), batch(1001)]},
        forward=forward,
        metrics=metrics,
        best_metric="test/score",
    )


def train(task, workdir, settings=SETTINGS, source=None, rate=0.01):
    training.train(
        task,
        make_forward(task.forward, FLOAT32),
        optax.sgd(rate),
        optax.constant_schedule(rate),
        sharding.make_parallel("jit"),
        settings,
        workdir,
        checkpoint.describe(task.name, task.best_metric, {"a": 1}, ""),
        source,
    )


def test_training_learns_logs_evaluates_and_keeps_checkpoints(tmp_path):
    train(regression(), tmp_path)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 6]
    tests = {row["step"]: row for row in rows if "test/loss" in row}
    assert list(tests) == [3, 6]
    assert tests[6]["test/loss"] < tests[3]["test/loss"]
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    assert checkpoints.steps() == [2, 3, 4, 6]
    assert checkpoints.metrics(3) == pytest.approx(
        {k: v for k, v in tests[3].items() if k != "step"}
    )
    about = checkpoints.about(6)
    assert about["task"] == "regression" and about["config"] == {"a": 1}
    assert about["git"] and about["versions"]["jax"] == jax.__version__
    assert list(tmp_path.glob("tensorboard/events*"))


def test_best_and_last_checkpoints_are_kept(tmp_path):
    # A rate that overshoots: the first evaluation is the best.
    settings = dataclasses.replace(SETTINGS, keep_last=1, keep_best=1, eval_every=2)
    train(regression(), tmp_path, settings, rate=0.2)
    checkpoints = checkpoint.Checkpoints(tmp_path, read_only=True)
    scores = {
        row["step"]: row["test/score"]
        for row in read_metrics(tmp_path)
        if "test/score" in row
    }
    best = max(scores, key=scores.get)
    assert best != 6 and checkpoints.steps() == sorted({best, 6})
    assert checkpoint.load_variables(tmp_path, "best")[2].name == str(best)
    assert checkpoint.load_variables(tmp_path)[2].name == "6"
    with pytest.raises(FileNotFoundError, match=f"'5'.*{best}, 6"):
        checkpoint.load_variables(tmp_path, "5")


def test_logged_loss_is_that_of_numpy(tmp_path):
    task = regression()
    settings = dataclasses.replace(SETTINGS, total_steps=1, log_every=1)
    train(task, tmp_path, settings, rate=0.0)
    variables = checkpoint.load_variables(tmp_path)[0]
    first, second = variables["params"]["hidden"], variables["params"]["output"]
    batch = next(task.train_data(0))
    hidden = batch["x"] @ np.asarray(first["w"]) + np.asarray(first["b"])
    outputs = (hidden @ np.asarray(second["w"]) + np.asarray(second["b"]))[:, 0]
    expected = np.mean((outputs - batch["y"]) ** 2)
    row = next(row for row in read_metrics(tmp_path) if "train/loss" in row)
    assert row["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_non_finite_loss_stops_naming_the_step_and_keeps_the_good_checkpoint(tmp_path):
    with pytest.raises(training.NonFiniteError, match="loss is nan at step 5"):
        train(regression(poisoned_step=5), tmp_path)
    assert checkpoint.Checkpoints(tmp_path, read_only=True).latest_step() == 4
    variables = checkpoint.load_variables(tmp_path)[0]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(variables))


def test_workdir_of_another_task_or_model_is_refused(tmp_path):
    train(regression(), tmp_path)
    longer = dataclasses.replace(SETTINGS, total_steps=8)
    other = dataclasses.replace(regression(), name="other")
    with pytest.raises(ValueError, match="task 'regression', not of 'other'"):
        train(other, tmp_path)
    with pytest.raises(ValueError, match=r"params/hidden/b: \(\(3,\)") as error:
        train(regression(width=5), tmp_path, longer)
    assert "--config.init_from" in str(error.value)


def test_converted_checkpoint_has_no_optimizer_to_go_on_with(tmp_path):
    train(regression(), tmp_path / "parent")
    variables, about, _ = checkpoint.load_variables(tmp_path / "parent")
    checkpoints = checkpoint.Checkpoints(tmp_path / "converted")
    checkpoints.save(0, variables, None, about)
    checkpoints.close()
    with pytest.raises(ValueError, match="converted, not trained"):
        train(regression(), tmp_path / "converted")


def test_damaged_checkpoint_is_named(tmp_path):
    train(regression(), tmp_path)
    folder = tmp_path / "checkpoints" / "6" / "variables"
    for file in folder.rglob("*"):
        if file.is_file() and file.parent.name == "d":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match="checkpoints/6 is damaged"):
        train(regression(), tmp_path, dataclasses.replace(SETTINGS, total_steps=8))


def test_init_from_loads_skips_and_reports(tmp_path, caplog):
    train(regression(), tmp_path / "parent")
    variables, _, folder = checkpoint.load_variables(tmp_path / "parent")
    source = init_from.Source(str(folder), variables, ("output/*",))
    still = dataclasses.replace(SETTINGS, total_steps=1)
    with caplog.at_level("INFO", logger="perceiver_jax"):
        train(regression(), tmp_path / "child", still, source, rate=0.0)
    child = checkpoint.load_variables(tmp_path / "child")[0]["params"]
    parent = variables["params"]
    np.testing.assert_array_equal(child["hidden"]["w"], parent["hidden"]["w"])
    assert not np.array_equal(child["output"]["w"], parent["output"]["w"])
    assert "2 params loaded" in caplog.text
    assert "2 params skipped: output/b, output/w" in caplog.text


def test_init_from_another_shape_names_it_and_the_fix(tmp_path):
    train(regression(), tmp_path / "parent")
    variables, _, folder = checkpoint.load_variables(tmp_path / "parent")
    source = init_from.Source(str(folder), variables)
    with pytest.raises(ValueError, match=r"hidden/w: \(3, 3\) there, \(3, 5\) here"):
        train(regression(width=5), tmp_path / "child", source=source)


def normalised(axis_name):
    """A task with BatchNorm and masked rows, on batches that 8 devices can share."""

    def batch(seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(16, 3)).astype(np.float32)
        mask = (np.arange(16) != 3).astype(np.float32)
        return {"x": x, "y": x @ np.float32([1, 2, 3]), "mask": mask}

    def forward(batch, is_training):
        axis = None if hk.running_init() else axis_name
        norm = hk.BatchNorm(True, True, 0.9, cross_replica_axis=axis)
        # No bias: before a norm its gradient is noise, which LAMB would scale up.
        x = hk.Linear(32, with_bias=False, name="hidden")(batch["x"])
        x = norm(x, is_training)
        return hk.Linear(1, name="output")(jnp.tanh(x))[:, 0]

    return dataclasses.replace(
        regression(),
        train_data=lambda start_step: map(batch, itertools.count(start_step)),
        forward=forward,
    )


def few_steps(task, parallel, accumulate=1, num_steps=3):
    """Losses and final variables of a few updates."""
    forward = make_forward(task.forward, FLOAT32)
    schedule = optax.constant_schedule(0.01)
    data = task.train_data(0)
    batch = next(data)
    params, _ = jax.eval_shape(lambda: forward.init(jax.random.key(0), batch, True))
    decays = {m: {name: name == "w" for name in a} for m, a in params.items()}
    layer_axes = jax.tree.map(lambda _: 0, params)
    optimizer = optimizers.lamb(schedule, decays, layer_axes, 0.1, clip_norm=1.0)
    step = parallel.compile_update(
        update.make_update(task, forward, optimizer, schedule, 0, accumulate)
    )
    state = parallel.initialize(lambda: update.init(forward, optimizer, 0, batch))
    losses = []
    for _ in range(num_steps):
        state, sums = step(state, parallel.place_batch(batch))
        losses.append(float(sums["loss"][0] / sums["loss"][1]))
        batch = next(data)
    saved = parallel.to_save(state)
    return losses, evaluation.Variables(saved.params, saved.model_state)


def one_device():
    return sharding.OverMesh(sharding.make_mesh(jax.devices()[:1]))


def assert_close(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        jax.device_get(one[1]),
        jax.device_get(other[1]),
    )


@pytest.mark.parametrize(
    ("compile_with", "shard_state"), [("jit", False), ("jit", True), ("pmap", False)]
)
def test_eight_devices_agree_with_one(monkeypatch, compile_with, shard_state):
    assert jax.device_count() == 8
    monkeypatch.setattr(sharding, "WORTH_SHARDING", 64)
    parallel = sharding.make_parallel(compile_with, shard_state)
    axis = sharding.update_axis(shard_state)
    alone = few_steps(normalised(sharding.AXIS), one_device())
    together = few_steps(normalised(axis), parallel)
    assert alone[0][0] != alone[0][1]
    assert_close(alone, together)
    weights = together[1].params["hidden"]["w"]
    if shard_state:
        assert weights.addressable_shards[0].data.shape == (3, 4)


def test_accumulated_parts_give_the_whole_batch_s_gradient():
    task = regression()
    alone = few_steps(task, one_device())
    for parts in (2, 8):
        assert_close(alone, few_steps(task, one_device(), accumulate=parts))
    task = dataclasses.replace(normalised(None), forward=task.forward)
    together = sharding.make_parallel("jit")
    assert_close(few_steps(task, one_device()), few_steps(task, together, accumulate=2))


def test_jit_and_pmap_train_a_perceiver_alike():
    config = digits.get_config("conv")  # with BatchNorm
    config.update_from_flattened_dict(
        {
            "batch_size": 16,
            "model.num_latents": 4,
            "model.latent_channels": 16,
            "model.num_blocks": 1,
            "model.layers_per_block": 1,
            "data.mix_alpha": 0.2,
        }
    )
    task = build.make_task(config)
    found = [few_steps(task, sharding.make_parallel(word)) for word in ("jit", "pmap")]
    assert_close(*found)


def test_evaluation_is_the_same_for_any_batch_size_and_device_count():
    examples = normalised(None).train_data(0)
    rows = [next(examples) for _ in range(2)]
    rows = {k: np.concatenate([row[k] for row in rows]) for k in ("x", "y")}
    rows["label"] = np.arange(32)
    rows = {k: v[:29] for k, v in rows.items()}  # a length that nothing divides
    found = []
    for batch_size, parallel in (
        (29, one_device()),
        (5, one_device()),
        (16, sharding.make_parallel("jit")),
        (16, sharding.make_parallel("pmap")),
    ):
        source = sources.ArraySource(**rows)
        task = dataclasses.replace(
            regression(),
            eval_data={
                "test": lambda s=source, b=batch_size: loader.eval_batches(s, dict, b)
            },
            predictions=lambda outputs, batch: {"label": batch["label"]},
            summary=lambda collected: {"count": len(collected["label"])},
        )
        forward = make_forward(task.forward, FLOAT32)
        batch = next(iter(task.eval_data["test"]()))
        variables = parallel.initialize(
            lambda f=forward, b=batch: evaluation.Variables(
                *f.init(jax.random.key(0), jax.tree.map(jnp.asarray, b), False)
            )
        )
        results = evaluation.make_evaluate(task, forward, parallel)(variables)
        np.testing.assert_array_equal(
            results.predictions["test"]["label"], np.arange(29)
        )
        found.append(results.metrics)
    assert found[0]["test/count"] == 29
    for metrics in found[1:]:
        assert metrics == pytest.approx(found[0], rel=1e-6)


def test_half_a_line_of_a_killed_run_is_left_out(tmp_path):
    rows = '{"step": 1, "train/loss": 2.0}\n{"step": 2, '
    (tmp_path / METRICS).write_text(rows)
    assert read_metrics(tmp_path) == [{"step": 1, "train/loss": 2.0}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sharding.check_batch_size("batch_size", 12), "batch_size=12.*8 dev"),
        (lambda: sharding.check_batch_size("batch_size", 16, 4), "multiple of 32"),
        (lambda: sharding.make_parallel("gmap"), "'jit' or 'pmap'"),
        (lambda: sharding.make_parallel("pmap", True), "shard_state=True"),
        (lambda: parse_policy("compute=bfloat17"), "compute=bfloat17"),
        (lambda: parse_policy("params=bfloat16"), "keep params=float32"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
