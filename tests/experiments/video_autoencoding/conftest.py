"""Files of clips, and a model that was trained on them."""

import pathlib

import programs
import pytest
import small_clips


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
    flags = (*small_clips.RUN, f"--config.data.dir={clip_files}")
    return programs.train_once(tmp_path_factory, worker_id, "av", *flags)
