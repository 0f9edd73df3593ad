"""experiments.report on a run of video autoencoding."""

import numpy as np
import programs
from PIL import Image

from perceiver_jax.data.video import clips


def test_report_shows_curves_clips_and_attention(trained_av):
    programs.run("experiments.report", f"--workdir={trained_av}")
    folder = trained_av / "report"
    index = (folder / "index.md").read_text()
    assert "test/video_psnr" in index and "- label: hidden" in index
    for name in ("loss_curve", "clips", "attention"):
        assert f"({name}.png)" in index
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 10
    for number in range(2):
        for kind in ("clip", "decoded"):
            assert f"({number}_{kind}.mp4)" in index
            info = clips.probe(folder / f"{number}_{kind}.mp4")
            assert info.has_audio and info.has_video
