"""Simple autoencoders beside a model."""

import numpy as np
import programs
import pytest
from small_av import make_config

from experiments import build
from experiments.video_autoencoding import baselines
from experiments.video_autoencoding.baselines import Rows
from experiments.video_autoencoding.model import coded_values


def test_they_stand_beside_the_model(tmp_path):
    flags = (
        "--config=configs/video_autoencoding.py",
        "--config.steps=2",
        "--config.eval_batch_size=96",
        "--config.data.rendered_clips=60",
        "--config.data.points.audio=4",
        "--config.model.num_frames=2",
        "--config.model.video_patch=(1,8,8)",
        "--config.model.num_latents=4",
        "--config.model.latent_channels=16",
        "--config.model.code_channels=5",
    )
    programs.run("experiments.train", *flags, f"--workdir={tmp_path}")
    done = programs.run(
        "experiments.video_autoencoding.baselines",
        f"--workdir={tmp_path}",
        "--fitted=50",
    )
    header, *rows, label = done.stdout.splitlines()
    assert header.split() == ["video", "audio", "PSNR,", "dB"]
    titles = [row[:24].strip() for row in rows]
    assert titles == ["mean frame", "PCA, 20 values", "this model"]
    for row in rows:
        assert all(np.isfinite(float(number)) for number in row[24:].split())
    assert label.startswith("label, hidden: ") and "by chance 11.1%" in label


def random_rows(count):
    """Clips that are sums of three others."""
    rng = np.random.default_rng(0)
    parts = rng.uniform(0, 1, (3, 2 * 4 * 5 * 3 + 32))
    flat = rng.uniform(0, 0.3, (count, 3)) @ parts
    video, audio = np.split(flat, [-32], axis=1)
    return Rows(video.reshape(count, 2, 4, 5, 3), audio)


def test_pca_keeps_what_lies_in_its_components():
    fitted, clips = random_rows(20), random_rows(25)
    assert min(baselines.quality(baselines.pca(fitted, clips, 3), clips).values()) > 90
    assert max(baselines.quality(baselines.pca(fitted, clips, 1), clips).values()) < 50


def test_a_mean_frame_stands_still_and_is_silent():
    clips = random_rows(3)
    found = baselines.mean_frame(clips)
    assert found.video.shape == clips.video.shape and not found.audio.any()
    np.testing.assert_array_equal(found.video[:, 0], found.video[:, 1])
    np.testing.assert_allclose(found.video[:, 0], clips.video.mean(1))


def test_quality_is_of_each_clip_first():
    clips = random_rows(2)
    decoded = Rows(
        clips.video + np.array([0.1, 0.01])[:, None, None, None, None],
        clips.audio + np.array([1, 0.1])[:, None],
    )
    found = baselines.quality(decoded, clips)
    assert found == pytest.approx({"video": (20 + 40) / 2, "audio": (0 + 20) / 2})


def test_only_whole_clips_are_compared():
    batch = {
        "mask": np.array([1, 1, 1, 0]),
        "video": np.arange(4)[:, None, None, None, None] * np.full((2, 3, 3, 3), 51),
        "audio": np.zeros((4, 8, 1)),
        "video_known": np.array([2, 1, 2, 2]),
        "audio_known": np.array([8, 8, 8, 8]),
    }
    found = baselines.to_rows([batch, batch])
    assert found.video[:, 0, 0, 0, 0] == pytest.approx([0, 0.4, 0, 0.4])
    assert len(baselines.to_rows([batch, batch], 3).audio) == 3


def test_too_few_clips_for_pca_are_named():
    config = make_config()
    values = coded_values(config.model)
    with pytest.raises(ValueError, match=f"PCA of {values} values.*--fitted=4"):
        baselines.rows_of(build.make_task(config), config, fitted=4)
