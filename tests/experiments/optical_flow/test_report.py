"""experiments.report on a run of optical flow."""

import numpy as np
import programs
from PIL import Image


def test_report_shows_curves_and_pairs(trained_flow):
    programs.run("experiments.report", f"--workdir={trained_flow}")
    index = (trained_flow / "report" / "index.md").read_text()
    assert "sintel_clean/epe" in index and "- tile: [16, 24]" in index
    for name in ("loss_curve", "sintel_clean", "kitti_2015"):
        assert f"({name}.png)" in index
        with Image.open(trained_flow / "report" / f"{name}.png") as picture:
            assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 10
