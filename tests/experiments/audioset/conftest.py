"""Files of clips, and a model that was trained on them."""

import pathlib

import programs
import pytest
import small_audioset
import small_clips


@pytest.fixture(scope="session")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Lists of files, and the files."""
    return small_clips.dataset(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def trained_audioset(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    sound_files: pathlib.Path,
) -> pathlib.Path:
    """The workdir of a run of a few steps, made by one worker.

    Reports are written into it; nothing else is.
    """
    flags = (*small_audioset.RUN, f"--config.data.dir={sound_files}")
    return programs.train_once(tmp_path_factory, worker_id, "audioset", *flags)
