"""Files for the servers of Sintel and KITTI."""

import json
import pathlib

import programs
import pytest

from perceiver_jax.data.flow import files


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
def test_submissions_have_the_servers_layout(trained_flow, tmp_path, dataset, expected):
    programs.run(
        "experiments.optical_flow.submission",
        f"--workdir={trained_flow}",
        f"--dataset={dataset}",
        f"--out={tmp_path}",
    )
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*"))
    protocol = f"protocol_{dataset}.json"
    assert written == sorted([*expected, protocol])
    flow, valid = files.read_flow(pathlib.Path(tmp_path, expected[0]))
    assert valid.all() and flow.shape == (20, 28, 2)
    about = json.loads((tmp_path / protocol).read_text())
    assert about["pairs"] == 2 and about["protocol"]["tile"] == [16, 24]


def test_what_is_to_be_predicted_must_be_said(trained_flow):
    done = programs.run(
        "experiments.optical_flow.submission",
        f"--workdir={trained_flow}",
        fails=True,
    )
    assert "Traceback" not in done.stderr and "--dataset" in done.stderr
