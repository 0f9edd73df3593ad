"""The programs for optical flow, run as a user runs them, on datasets made small."""

import json

import fake_flow
import numpy as np
import programs
import pytest
from PIL import Image

from perceiver_jax.data.flow import files, photos, rendering

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


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """Rendered pairs to train on, and Sintel and KITTI to evaluate on."""
    folder = tmp_path_factory.mktemp("datasets")
    look = rendering.Rendering(SIZE, 3.0)
    pairs = rendering.RenderedPairs(photos.scikit_learn(), look, 6)
    fake_flow.pair_folder(folder / "train", [pairs[n] for n in range(6)])
    fake_flow.sintel(folder / "Sintel", SIZE)
    fake_flow.kitti(folder / "KITTI_2015", [SIZE, (18, 26)])
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, datasets):
    """The workdir of a run of a few steps."""
    workdir = tmp_path_factory.mktemp("run")
    flags = (*FLOW, f"--config.data.dir={datasets}", f"--workdir={workdir}")
    programs.run("experiments.train", *flags)
    return workdir


def test_a_trained_model_is_evaluated_with_its_protocol(trained):
    done = programs.run("experiments.evaluate", f"--workdir={trained}", "--step=best")
    found = json.loads(done.stdout)
    assert found["protocol"]["tile"] == [16, 24]
    logged = {name for _, name in programs.numbers(trained)}
    for name in ("sintel_clean", "kitti_2015"):
        for key in ("epe", "fl_all", "outliers_1px", "epe_s0_10", "epe_matched"):
            assert np.isfinite(found[f"{name}/{key}"])
            assert f"{name}/{key}" in logged
    assert found["score"] == pytest.approx(
        -(found["sintel_clean/epe"] + found["kitti_2015/epe"]) / 2
    )


def test_classic_methods_stand_beside_the_model(trained):
    done = programs.run("experiments.optical_flow.baselines", f"--workdir={trained}")
    for name in ("sintel_clean", "kitti_2015"):
        table = done.stdout[done.stdout.index(f"\n{name} ") :].splitlines()[1:6]
        header, *rows = table
        assert header.split()[:3] == [name, "epe", "epe_matched"]
        assert [row[:20].strip() for row in rows] == [
            "no motion",
            "Farneback",
            "DIS",
            "this model",
        ]
        assert all(float(row[20:].split()[0]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            "sintel_final_test",
            ["final/cave_3/frame_0001.flo", "final/cave_3/frame_0002.flo"],
        ),
        ("kitti_2015_test", ["flow/000000_10.png", "flow/000001_10.png"]),
    ],
)
def test_submissions_have_the_servers_layout(trained, tmp_path, dataset, expected):
    programs.run(
        "experiments.optical_flow.submission",
        f"--workdir={trained}",
        f"--dataset={dataset}",
        f"--out={tmp_path}",
    )
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*"))
    protocol = f"protocol_{dataset}.json"
    assert written == sorted([*expected, protocol])
    flow, valid = files.read_flow(tmp_path / expected[0])
    assert valid.all() and flow.shape == (*SIZE, 2)
    about = json.loads((tmp_path / protocol).read_text())
    assert about["pairs"] == 2 and about["protocol"]["tile"] == [16, 24]


def test_report_shows_curves_and_pairs(trained):
    programs.run("experiments.report", f"--workdir={trained}")
    index = (trained / "report" / "index.md").read_text()
    assert "sintel_clean/epe" in index and "- tile: [16, 24]" in index
    for name in ("loss_curve", "sintel_clean", "kitti_2015"):
        assert f"({name}.png)" in index
        with Image.open(trained / "report" / f"{name}.png") as picture:
            assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 10


def test_flow_and_attention_of_frames_of_ones_own(trained, datasets, tmp_path):
    """Of a model that lives on two devices, as one that was trained by pmap does."""
    frames = sorted(map(str, (datasets / "train" / "clip0").glob("0_img*.png")))
    done = programs.run(
        "experiments.predict",
        f"--workdir={trained}",
        f"--output={tmp_path}",
        "--attention",
        "--json",
        "--config.compile=pmap",
        *frames,
        devices=2,
    )
    record = json.loads(done.stdout)
    flow, _ = files.read_flow(tmp_path / record["flow"][0])
    assert flow.shape == (*SIZE, 2)
    with np.load(record["attention"][0]) as maps:  # of 4 x 6 cells
        assert maps["encoder"].shape == (4, 24) and maps["decoder"].shape == (24, 4)
    with Image.open(record["attention"][1]) as picture:
        assert np.asarray(picture.convert("L")).std() > 10
