"""The program that prepares datasets, on archives in the true format."""

import io

import fake_imagenet
import numpy as np
import programs
import pytest
from PIL import Image

from perceiver_jax.data import tfds


def test_files_that_are_no_jpeg_are_made_one(tmp_path):
    """One file of CMYK and one PNG among the JPEGs, as in the real data."""
    fake_imagenet.write(tmp_path / "tars", train_per_class=1, num_validation=1)
    flags = (
        "--name=imagenet2012",
        f"--data_dir={tmp_path / 'data'}",
        f"--manual_dir={tmp_path / 'tars'}",
    )
    done = programs.run("scripts.prepare_tfds", *flags)
    assert "train: 3 examples" in done.stdout
    source = tfds.image_source("imagenet2012", "train", str(tmp_path / "data"))
    for example in source:
        picture = Image.open(io.BytesIO(example["image"]))
        assert picture.format == "JPEG" and picture.mode == "RGB"
        assert np.asarray(picture).std() > 10  # of a photograph
    again = programs.run("scripts.prepare_tfds", *flags)
    assert "Downloading" not in again.stdout and "train: 3 examples" in again.stdout


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "flag --name=None: Flag --name must have a value other than None."),
        (("--name=mnisst",), "TFDS knows no dataset 'mnisst'; did you mean mnist"),
    ],
)
def test_datasets_that_are_not_known_are_named(flags, told):
    done = programs.run("scripts.prepare_tfds", *flags, fails=True)
    assert done.stderr.splitlines()[-1].startswith(told)
