"""The task as a whole: equal on any number of devices, evaluated as by hand."""

import json

import jax
import numpy as np
import programs
import pytest
from small_photos import make_apply, make_config, random_variables

from experiments import build
from experiments.image_autoencoding import data
from perceiver_jax.engine import evaluation, sharding


def by_hand(config):
    """PSNR of every held-out crop."""
    apply = make_apply(config)
    ratios = []
    for batch in data.test_loader(config).batches():
        images = batch["image"][batch["mask"] > 0]
        colors = apply({"image": images})
        error = np.clip(colors, -1, 1).reshape(images.shape) - images
        ratios += list(10 * np.log10(4 / np.square(error).mean((1, 2, 3))))
    return ratios


@pytest.mark.parametrize("devices", [1, 4])
def test_evaluation_is_as_by_hand(devices):
    config = make_config()
    task = build.make_task(config)
    forward, variables = random_variables(config)
    parallel = sharding.OverMesh(sharding.make_mesh(jax.devices()[:devices]))
    evaluator = evaluation.Evaluator(task, forward, parallel)
    found = evaluator(parallel.from_saved(variables)).metrics
    expected = by_hand(config)
    assert len(expected) == 6 and np.std(expected) > 0.01
    assert found["test/psnr"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found["score"] == found["test/psnr"]


def losses(config, devices):
    """Of three steps of training on so many devices."""
    task = build.make_task(config)
    parallel = sharding.OverMesh(sharding.make_mesh(jax.devices()[:devices]))
    update = build.make_update(config, task.model, 3)
    step = parallel.compile_update(update)
    batches = [x for _, x in zip(range(3), task.train.batches(0, 3))]
    state = parallel.initialize(lambda: update.init(batches[0]))
    found = []
    for batch in batches:
        state, sums = step(state, parallel.place_batch(batch))
        total, weight = sums["loss"]
        found.append(float(total / weight))
    return found


def test_losses_of_training_are_the_same_on_8_devices():
    fields = {"batch_size": 8, "optimizer.schedule": "constant"}
    config = make_config(**fields)
    one = losses(config, 1)
    np.testing.assert_allclose(losses(config, 8), one, rtol=1e-5)
    assert one[1] != one[0] and one[2] != one[1]


def test_a_trained_model_is_evaluated_with_its_protocol(trained_photos):
    done = programs.run(
        "experiments.evaluate", f"--workdir={trained_photos}", "--step=best"
    )
    found = json.loads(done.stdout)
    assert found["protocol"]["crop"] == [12, 16]
    assert found["protocol"]["values_of_its_code"] == 5 * 20
    logged = {name for row in programs.rows(trained_photos) for name in row}
    assert {"test/psnr", "train/psnr", "test/loss"} <= logged
    assert found["score"] == found["test/psnr"] > 0
