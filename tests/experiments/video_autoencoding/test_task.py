"""The task as a whole: equal on any number of devices, evaluated as by hand."""

import json

import jax
import numpy as np
import programs
import pytest
import small_clips
from small_av import make_config, random_variables

from experiments import build
from perceiver_jax.engine import evaluation, sharding
from perceiver_jax.engine.task import Sound


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
    config = make_config(**{"batch_size": 8, "optimizer.schedule": "constant"})
    one = losses(config, 1)
    np.testing.assert_allclose(losses(config, 8), one, rtol=1e-5)
    assert one[1] != one[0] and one[2] != one[1]


def psnr(decoded, array):
    error = decoded.reshape(array.shape) - array
    return 10 * np.log10(1 / np.square(error).mean(tuple(range(1, error.ndim))))


def by_hand(task, forward, variables):
    """Numbers of every held-out clip, all of it decoded."""
    found = {"video_psnr": [], "audio_psnr": [], "label_top1": []}
    for batch in task.evaluations["test"].batches():
        assert batch["label_hidden"].all() and "video_points" not in batch
        outputs = jax.device_get(forward.apply(*variables, None, batch, False)[0])
        video = batch["video"].astype(np.float32) / 255
        found["video_psnr"] += list(psnr(outputs["video"], video))
        found["audio_psnr"] += list(psnr(outputs["audio"], batch["audio"]))
        right = outputs["label"][:, 0].argmax(1) == batch["label"].argmax(1)
        found["label_top1"] += list(right)
    return found


@pytest.mark.parametrize("devices", [1, 8])
def test_evaluation_is_as_by_hand(devices):
    config = make_config(eval_batch_size=32)
    task = build.make_task(config)
    forward, variables = random_variables(config)
    parallel = make_parallel(devices)
    evaluator = evaluation.Evaluator(task, forward, parallel)
    found = evaluator(parallel.from_saved(variables)).metrics
    expected = by_hand(task, forward, variables)
    assert len(expected["video_psnr"]) == 288
    for name, values in expected.items():
        assert found[f"test/{name}"] == pytest.approx(np.mean(values), rel=1e-5), name
        assert np.std(values) > 0.01
    assert found["score"] == -found["test/loss"]


def test_clips_are_seen_and_heard_beside_what_was_decoded():
    config = make_config()
    task = build.make_task(config)
    forward, variables = random_variables(config)
    samples = evaluation.Evaluator(task, forward, make_parallel(1)).samples(variables)
    (picture,) = samples.pictures.values()
    assert picture.shape[1:] == (1500, 3) and picture.std() > 30
    assert list(samples.sounds) == [
        f"test/{n}_{kind}" for n in range(3) for kind in ("clip", "decoded")
    ]
    clip = next(iter(task.evaluations["test"].batches()))
    sound = samples.sounds["test/0_clip"]
    assert isinstance(sound, Sound) and sound.rate == 32 * 25
    np.testing.assert_array_equal(sound.samples, clip["audio"][0, :, 0])


def test_a_trained_model_is_evaluated_with_its_protocol(trained_av):
    done = programs.run(
        "experiments.evaluate", f"--workdir={trained_av}", "--step=best"
    )
    found = json.loads(done.stdout)
    assert found["protocol"]["label"] == "hidden"
    logged = {name for row in programs.rows(trained_av) for name in row}
    for name in ("video_psnr", "audio_psnr", "label_top1", "loss"):
        assert np.isfinite(found[f"test/{name}"])
        assert {f"test/{name}", f"train/{name}"} <= logged
    assert found["score"] == -found["test/loss"]


def test_damaged_files_are_replaced_and_named(tmp_path):
    folder = small_clips.dataset(tmp_path)
    (folder / "clips/2.mp4").write_bytes(b"no video")
    flags = (*small_clips.RUN, f"--config.data.dir={folder}")
    done = programs.run("experiments.train", *flags, f"--workdir={tmp_path}/run")
    assert "clips/2.mp4" in done.stderr
    assert programs.rows(tmp_path / "run")[-1]["step"] == 4
