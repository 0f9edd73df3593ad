"""From a config to the engine's objects."""

import jax
import numpy as np
import pytest

from configs import base, digits, imagenet
from experiments import build
from perceiver_jax.engine.task import Identity
from perceiver_jax.model import parameters


def small(variant="fourier", **fields):
    config = digits.get_config(variant)
    fields = {
        "model.num_latents": 4,
        "model.latent_channels": 16,
        "model.layers_per_block": 1,
        **fields,
    }
    config.update_from_flattened_dict(fields)
    return config


def test_a_task_is_found_by_its_name():
    assert build.find(digits.get_config(), "fields").RANGES
    for name in ("", "nothing"):
        with pytest.raises(
            ValueError, match=f"task='{name}' is unknown: use.* imagenet"
        ):
            build.find(small(task=name), "model")
    with pytest.raises(ValueError, match="has no horoscope: no experiments.imagenet"):
        build.find(digits.get_config(), "horoscope")


@pytest.mark.parametrize(
    "make",
    [
        build.check,
        build.make_model,
        build.make_task,
        lambda config: build.make_predictor(config, Identity()),
    ],
)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"log_every": 0}, "log_every=0 must be at least 1"),
        ({"data.eval_crop": 0.0}, "data.eval_crop=0.0 must be more than 0"),
        ({"optimizer.schedule": "linear"}, "flat_cosine"),
        ({"precision": "half"}, "precision='half'"),
    ],
)
def test_every_maker_looks_at_the_fields(make, fields, message):
    with pytest.raises(ValueError, match=message):
        make(small(**fields))


def test_model_and_task_agree():
    config = small()
    model, task = build.make_model(config), build.make_task(config)
    assert task.name == "imagenet" and task.model.example == model.example
    batch = next(task.train.batches(0, 1))
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), model.batch(64))
    assert shapes == {k: (x.shape, x.dtype) for k, x in batch.items()}


def test_size_of_a_model_is_counted_without_data():
    config = imagenet.get_config()
    assert config.data.source == "tfds" and not config.data.dir
    found = build.model_size(config)
    assert found.parameters == 48_440_627  # "48.4M" in the paper
    assert found.flops == pytest.approx(390e9, rel=0.01)


@pytest.mark.parametrize(
    ("steps", "epochs", "found"), [(7, 0.0, 7), (0, 2.0, 12), (0, 0.01, 1)]
)
def test_length_of_training(steps, epochs, found):
    config = small(steps=steps, epochs=epochs, batch_size=16)
    assert build.total_steps(config, 100) == found


@pytest.mark.parametrize(("steps", "epochs"), [(3, 1.0), (0, 0.0)])
def test_two_lengths_or_none_are_refused(steps, epochs):
    with pytest.raises(ValueError, match=f"steps={steps} and epochs={epochs}"):
        build.total_steps(small(steps=steps, epochs=epochs), 100)


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ((0, 50.0), {"steps": 20}, (20, 0.0)),
        ((90, 0.0), {"epochs": 2.0}, (0, 2.0)),
        ((0, 50.0), {"steps": 0}, (0, 50.0)),
        ((0, 50.0), {"steps": 20, "epochs": 2.0}, (20, 2.0)),  # refused later
        ((0, 50.0), {}, (0, 50.0)),
    ],
)
def test_one_length_on_the_command_line_is_enough(before, asked, after):
    config = small(steps=before[0], epochs=before[1])
    config.update(asked)
    build.choose_length(config, [*asked, "seed"])
    assert (config.steps, config.epochs) == after


def test_settings_are_the_config_s():
    config = small(steps=7, epochs=0.0, log_every=3, eval_every=4, keep_best=2)
    settings = build.make_settings(config, 100)
    assert (settings.total_steps, settings.log_every, settings.eval_every) == (7, 3, 4)
    assert (settings.batch_size, settings.keep_best) == (64, 2)


@pytest.mark.parametrize(
    ("fields", "rates"),
    [
        ({"schedule": "constant"}, [2, 2, 2]),
        ({"schedule": "flat_cosine", "flat_fraction": 0.5}, [2, 2, 0]),
        ({"schedule": "step_decay", "decay_fractions": (0.25, 0.75)}, [2, 0.2, 0.02]),
        ({"schedule": "warmup_cosine", "warmup_steps": 50}, [0, 2, 0]),
        ({"schedule": "constant", "reference_batch_size": 32}, [4, 4, 4]),
    ],
)
def test_schedule_is_the_config_s(fields, rates):
    fields = {"learning_rate": 2.0, "reference_batch_size": 64, **fields}
    config = small(**{f"optimizer.{name}": value for name, value in fields.items()})
    model = build.make_model(config)
    described = parameters.describe(model.forward, model.batch(1))
    _, schedule = build.make_optimizer(config, 100, described)
    found = [float(schedule(step)) for step in (0, 50, 100)]
    np.testing.assert_allclose(found, rates, atol=1e-6)


def test_update_is_the_config_s():
    config = small(seed=3, accumulate=2)
    update = build.make_update(config, build.make_model(config), 100)
    assert (update.seed, update.accumulate) == (3, 2)
    state = jax.eval_shape(update.init, build.make_model(config).batch(4))
    assert state.step.shape == () and "encoder" in state.params


def test_fields_that_may_change_are_fields():
    assert set(build.FREE) <= {*base.get_config().keys()}
    assert not set(build.FREE) & {"seed", "batch_size", "accumulate", "precision"}
