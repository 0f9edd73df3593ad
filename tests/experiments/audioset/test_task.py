"""The task as a whole: equal on any number of devices, evaluated as by hand."""

import json

import jax
import numpy as np
import programs
import pytest
import scipy.special
import sklearn.metrics
import small_audioset
import small_clips
from small_audioset import file_config, make_config, random_variables

from experiments import build
from perceiver_jax.engine import evaluation, sharding


def make_parallel(devices):
    return sharding.OverMesh(sharding.make_mesh(jax.devices()[:devices]))


def losses(config, devices):
    """Of three steps of training on so many devices."""
    task = build.make_task(config)
    parallel = make_parallel(devices)
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
    config = make_config(**{"optimizer.schedule": "constant"})
    one = losses(config, 1)
    np.testing.assert_allclose(losses(config, 8), one, rtol=1e-5)
    assert one[1] != one[0] and one[2] != one[1]


@pytest.mark.parametrize("devices", [1, 8])
def test_map_is_scikit_learns_of_averaged_clips(tmp_path, devices):
    """Every clip once, though the last batch is not full."""
    folder = small_clips.dataset(tmp_path)
    rows = (folder / "train.csv").read_text()
    (folder / "validate.csv").write_text(rows)
    changes = {"data.eval_clips": 3, "eval_batch_size": 16}
    config = file_config(folder, **changes)
    task = build.make_task(config)
    forward, variables = random_variables(config)
    parallel = make_parallel(devices)
    evaluator = evaluation.Evaluator(task, forward, parallel)
    found = evaluator(parallel.from_saved(variables)).metrics
    scores, labels = [], []
    for batch in task.evaluations["test"].batches():
        logits, _ = forward.apply(*variables, None, batch, False)
        scores += list(scipy.special.expit(np.asarray(logits))[batch["mask"] > 0])
        labels += list(batch["labels"][batch["mask"] > 0])
    assert len(scores) == 6 * 3
    means = np.reshape(scores, (6, 3, 2)).mean(1)
    expected = sklearn.metrics.average_precision_score(labels[::3], means)
    assert found["test/mAP"] == found["score"] == pytest.approx(expected)
    assert found["test/files"] == 6


def test_clips_are_seen_and_heard_beside_what_is_said_of_them():
    config = make_config()
    task = build.make_task(config)
    forward, variables = random_variables(config)
    samples = evaluation.Evaluator(task, forward, make_parallel(1)).samples(variables)
    (picture,) = samples.pictures.values()
    assert picture.shape[1:] == (1500, 3) and picture.std() > 30
    assert list(samples.sounds) == [f"test/clip_{n}" for n in range(6)]
    assert samples.sounds["test/clip_0"].rate == 32 * 25


def test_a_trained_model_is_evaluated_with_its_protocol(trained_audioset):
    done = programs.run(
        "experiments.evaluate", f"--workdir={trained_audioset}", "--step=best"
    )
    found = json.loads(done.stdout)
    assert found["protocol"]["clips_of_a_file"] == 2
    assert found["test/files"] == 2
    assert found["score"] == found["test/mAP"]
    logged = {name for row in programs.rows(trained_audioset) for name in row}
    assert {"test/mAP", "test/loss", "train/loss"} <= logged
    tags = {tag for tag, _, _ in programs.board(trained_audioset)}
    assert {"test/clips", "test/clip_0"} <= tags


def test_damaged_files_are_replaced_and_named(tmp_path):
    folder = small_clips.dataset(tmp_path)
    (folder / "clips/2.mp4").write_bytes(b"no video")
    flags = (*small_audioset.RUN, f"--config.data.dir={folder}")
    done = programs.run("experiments.train", *flags, f"--workdir={tmp_path}/run")
    assert "clips/2.mp4" in done.stderr
    assert programs.rows(tmp_path / "run")[-1]["step"] == 4
