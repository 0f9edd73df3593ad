"""Datasets made small, and a model that was trained on them."""

import fcntl
import pathlib

import fake_flow
import programs
import pytest

from perceiver_jax.data.flow import photos, rendering

SIZE = (20, 28)
FLOW = (
    "--config=configs/optical_flow.py",
    "--config.batch_size=4",
    "--config.eval_batch_size=4",
    "--config.steps=4",
    "--config.log_every=2",
    "--config.optimizer.schedule=constant",
    "--config.data.phases=((0.5,0.0,True,(1.0,)),(1.0,1.0,False,(1.0,)))",
    "--config.data.train=('pairs_train',)",
    "--config.data.held_out=('sintel_clean','kitti_2015')",
    "--config.model.image_size=(16,24)",
    "--config.data.render_size=(20,28)",
    "--config.model.max_resolution=(4,6)",
    "--config.model.num_bands=2",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.layers_per_block=1",
    "--config.model.stem_channels=8",
)


@pytest.fixture(scope="session")
def flow_datasets(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Rendered pairs to train on, and Sintel and KITTI to evaluate on."""
    folder = tmp_path_factory.mktemp("datasets")
    look = rendering.Rendering(SIZE, 3.0)
    pairs = rendering.RenderedPairs(photos.scikit_learn(), look, 6)
    fake_flow.pair_folder(folder / "train", [pairs[n] for n in range(6)])
    fake_flow.sintel(folder / "Sintel", SIZE)
    fake_flow.kitti(folder / "KITTI_2015", [SIZE, (18, 26)])
    return folder


@pytest.fixture(scope="session")
def trained_flow(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    flow_datasets: pathlib.Path,
) -> pathlib.Path:
    """The workdir of a run of a few steps, made by one worker.

    Reports are written into it; nothing else is.
    """
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # of all workers
    workdir = folder / "trained_flow"
    with open(folder / "trained_flow.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not workdir.exists():
            flags = (*FLOW, f"--config.data.dir={flow_datasets}")
            programs.run("experiments.train", *flags, f"--workdir={workdir}")
    return workdir
