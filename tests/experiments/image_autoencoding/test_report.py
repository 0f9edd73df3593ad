"""experiments.report on a run, and what stands in it."""

import re

import numpy as np
import programs
from PIL import Image
from small_photos import SIZE, make_config, make_images

from experiments import build
from experiments.image_autoencoding import report


def test_report_shows_curves_crops_other_codes_and_finer_ones(trained_photos):
    programs.run("experiments.report", f"--workdir={trained_photos}")
    index = (trained_photos / "report" / "index.md").read_text()
    for name in ("loss_curve", "crops", "twice", "coarse_to_fine"):
        assert f"({name}.png)" in index
        with Image.open(trained_photos / "report" / f"{name}.png") as picture:
            assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 10
    rows = re.findall(r"^\| ([\w, ]+) \| (\d+) \| ([\d.]+) \|$", index, re.M)
    assert [row[:2] for row in rows] == [
        ("mean colour", "3"),
        ("shrunk, bicubic", "100"),
        ("PCA", "100"),
        ("this model", "100"),
    ]
    told = re.search(r"cubic interpolation ([\d.]+) dB, decoded ([\d.]+) dB", index)
    assert float(told[1]) > float(told[2]) > 0  # of a model that is hardly trained


def test_more_values_are_better_codes():
    task = build.make_task(make_config())
    few, more = (report.compare(task, values) for values in (24, 144))
    assert few["mean colour"] == more["mean colour"]
    for name in ("shrunk, bicubic", "PCA"):
        assert few[name][0] == 24 and few[name][1] + 1 < more[name][1]
        assert few[name][1] > few["mean colour"][1]


def test_every_second_pixel_of_a_large_crop_is_one_as_the_model_reads_them():
    crops = report.large_crops(make_config())
    assert crops.shape == (48, 23, 31, 3)
    assert crops[:, ::2, ::2].shape[1:3] == SIZE


def test_there_are_no_large_crops_of_small_photos(tmp_path):
    Image.new("RGB", (30, 60)).save(tmp_path / "narrow.png")
    config = make_config(**{"data.photos": str(tmp_path)})
    assert report.large_crops(config).shape == (0, 23, 31, 3)


def test_interpolation_keeps_what_was_read():
    (image,) = make_images(1)
    found = report.interpolate(image, (23, 31, 3))
    np.testing.assert_allclose(found[::2, ::2], image, atol=1e-5)
    assert np.abs(found[1::2, 1::2]).std() > 0.1
