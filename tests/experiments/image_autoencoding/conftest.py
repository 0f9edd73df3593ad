"""A model that was trained for a few steps on small crops."""

import pathlib

import programs
import pytest

PHOTOS = (
    "--config=configs/image_autoencoding.py",
    "--config.batch_size=4",
    "--config.eval_batch_size=4",
    "--config.steps=4",
    "--config.log_every=2",
    "--config.optimizer.schedule=constant",
    "--config.data.num_queries=20",
    "--config.data.test_crops=3",
    "--config.eval_every=4",
    "--config.model.image_size=(12,16)",
    "--config.model.max_resolution=(3,4)",
    "--config.model.query_max_resolution=(6,8)",
    "--config.model.num_bands=3",
    "--config.model.stem_channels=8",
    "--config.model.num_latents=5",
    "--config.model.latent_channels=16",
    "--config.model.code_channels=20",
    "--config.model.layers_per_block=1",
)


@pytest.fixture(scope="session")
def trained_photos(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> pathlib.Path:
    """The workdir of a short run; reports are written into it, nothing else is."""
    return programs.train_once(tmp_path_factory, worker_id, "photos", *PHOTOS)
