"""The loss and the numbers of decoded clips, by numpy."""

import numpy as np
import pytest
from small_av import make_config

from experiments import build
from experiments.video_autoencoding.outputs import to_frames


def make(points=False, **changes):
    """A model's metrics, random outputs, and a batch of three clips."""
    counts = {"data.points.video": 6, "data.points.audio": 2}
    counts = counts if points else dict.fromkeys(counts, 0)
    model = build.make_model(make_config(**counts, **changes))
    rng = np.random.default_rng(0)
    batch = {
        "mask": np.ones(3, np.float32),
        "video": rng.integers(0, 256, (3, 2, 8, 8, 3), np.uint8),
        "audio": rng.uniform(-1, 1, (3, 64, 1)).astype(np.float32),
        "label": np.eye(9, dtype=np.float32)[[2, 5, 7]],
        "video_known": np.array([2, 1, 0], np.int32),
        "audio_known": np.array([64, 64, 20], np.int32),
    }
    sizes = {"video": (128, 3), "audio": (4, 16), "label": (1, 9)}
    if points:
        batch["video_points"] = rng.integers(0, 128, (3, 6), np.int32)
        batch["audio_points"] = rng.integers(0, 4, (3, 2), np.int32)
        sizes |= {"video": (6, 3), "audio": (2, 16)}
    outputs = {
        name: rng.uniform(0, 1, (3, *size)).astype(np.float32)
        for name, size in sizes.items()
    }
    return model.metrics, outputs, batch


def psnr(error):
    return 10 * np.log10(1 / np.square(error).mean())


def test_psnr_is_of_each_clip_and_of_what_there_is():
    measure, outputs, batch = make()
    found = measure(outputs, batch)
    values, weights = map(np.asarray, found["video_psnr"])
    assert weights.tolist() == [1, 1, 0]
    for row, frames in ((0, 2), (1, 1)):
        decoded = outputs["video"][row].reshape(2, 8, 8, 3)[:frames]
        error = decoded - batch["video"][row, :frames] / 255
        assert values[row] == pytest.approx(psnr(error), rel=1e-5)
    values, weights = map(np.asarray, found["audio_psnr"])
    assert weights.tolist() == [1, 1, 1]
    # Of the third, two patches of 16 samples have something in them.
    error = outputs["audio"][2].reshape(64)[:32] - batch["audio"][2, :32, 0]
    assert values[2] == pytest.approx(psnr(error), rel=1e-5)


@pytest.mark.parametrize(("loss", "error"), [("l1", np.abs), ("l2", np.square)])
@pytest.mark.parametrize("points", [False, True])
def test_the_loss_is_the_weighted_sum_of_the_modalities(points, loss, error):
    measure, outputs, batch = make(points, **{"data.loss": loss})
    found = measure(outputs, batch)
    weights = make_config().data.loss_weights
    logits = outputs["label"][0, 0].astype(np.float64)
    label = np.log(np.exp(logits).sum()) - logits[2]
    pixels = (batch["video"][0] / 255).reshape(128, 3)
    patches = batch["audio"][0].reshape(4, 16)
    if points:
        pixels = pixels[batch["video_points"][0]]
        patches = patches[batch["audio_points"][0]]
    expected = (
        weights.video * error(outputs["video"][0] - pixels).mean()
        + weights.audio * error(outputs["audio"][0] - patches).mean()
        + weights.label * label
    )
    assert found["loss"][0][0] == pytest.approx(expected, rel=1e-5)
    assert found["label_top1"][0].tolist() == [
        float(outputs["label"][row, 0].argmax() == right)
        for row, right in enumerate((2, 5, 7))
    ]


def test_a_clip_without_video_has_no_loss_of_video():
    measure, outputs, batch = make()
    before = np.asarray(measure(outputs, batch)["loss"][0])
    outputs["video"] = outputs["video"] + 5
    after = np.asarray(measure(outputs, batch)["loss"][0])
    assert (after[:2] > before[:2]).all() and after[2] == before[2]


def test_frames_are_rounded_and_clipped():
    pixels = np.array([-0.2, 0.0, 0.5, 1.0, 1.7])
    assert to_frames(pixels).tolist() == [0, 0, 128, 255, 255]
