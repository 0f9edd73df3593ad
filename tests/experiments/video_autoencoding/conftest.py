"""Files of clips, and a model that was trained on them."""

import pathlib

import programs
import pytest
import small_clips

AV = (
    "--config=configs/video_autoencoding.py",
    "--config.batch_size=4",
    "--config.eval_batch_size=2",
    "--config.steps=4",
    "--config.log_every=2",
    "--config.data.source=folder",
    "--config.data.num_classes=2",
    "--config.data.points.audio=8",
    "--config.data.points.video=16",
    "--config.model.num_frames=4",
    "--config.model.image_size=(16,16)",
    "--config.model.samples_per_frame=320",
    "--config.model.video_max_resolution=(16,16)",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.layers_per_block=1",
)


@pytest.fixture(scope="session")
def clip_files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Lists of files, and the files."""
    return small_clips.dataset(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def trained_av(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    clip_files: pathlib.Path,
) -> pathlib.Path:
    """The workdir of a run of a few steps, made by one worker.

    Reports are written into it; nothing else is.
    """
    flags = (*AV, f"--config.data.dir={clip_files}")
    return programs.train_once(tmp_path_factory, worker_id, "av", *flags)
