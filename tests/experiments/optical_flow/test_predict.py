"""Frames and videos of one's own to flow, and what is said of bad ones."""

import json

import numpy as np
import programs
import pytest
from PIL import Image

from configs import optical_flow as configs
from experiments import build, predict, restore
from experiments.optical_flow.predict import Predictor
from experiments.predicting import Folder
from perceiver_jax.data.flow import files, pictures
from perceiver_jax.data.video import files as video
from perceiver_jax.engine.task import Identity


def write_frames(folder, **shapes):
    """Frames of noise, by name."""
    rng = np.random.default_rng(0)
    paths = []
    for name, shape in shapes.items():
        paths.append(folder / f"{name}.png")
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    return paths


def run(workdir, paths, folder, lines=(), **options):
    restored = restore.load(workdir)
    predictor = build.make_predictor(restored.config, restored.identity)
    found = predict.predict(restored, predictor, paths, lines, folder, **options)
    return list(found)


def test_flow_and_attention_of_frames_of_ones_own(
    trained_flow, flow_datasets, tmp_path
):
    """Of a model that lives on two devices, as one that was trained by pmap does."""
    frames = sorted(map(str, (flow_datasets / "train" / "clip0").glob("0_img*.png")))
    done = programs.run(
        "experiments.predict",
        f"--workdir={trained_flow}",
        f"--output={tmp_path}",
        "--attention",
        "--json",
        "--config.compile=pmap",
        *frames,
        devices=2,
    )
    record = json.loads(done.stdout)
    assert record["flow"] == [str(tmp_path / "0_img1.flo")]
    assert record["picture"] == str(tmp_path / "0_img1_flow.png")
    flow, _ = files.read_flow(tmp_path / record["flow"][0])
    assert flow.shape == (20, 28, 2)
    length = np.linalg.norm(flow, axis=-1)
    assert record["mean_length"] == pytest.approx(length.mean())
    assert record["largest_length"] == pytest.approx(length.max())
    with Image.open(record["picture"]) as picture:
        colors = pictures.to_colors(flow, record["largest_length"])
        expected = pictures.draw_arrows(colors, flow)
        np.testing.assert_array_equal(np.asarray(picture), expected)
    with np.load(record["attention"][0]) as maps:  # of 4 x 6 cells
        assert maps["encoder"].shape == (4, 24) and maps["decoder"].shape == (24, 4)
    with Image.open(record["attention"][1]) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_sequence_is_taken_in_pairs_and_a_bad_one_does_not_end_it(
    trained_flow, tmp_path
):
    good, same = (20, 28), (20, 28)
    paths = write_frames(tmp_path, a=good, b=same, c=(20, 30), d=(20, 30), e=(9, 9))
    (tmp_path / "f.png").write_bytes(b"no image")
    found = run(trained_flow, [*paths, tmp_path / "f.png"], Folder(tmp_path / "out"))
    errors = [str(row.error or "") for row in found]
    assert errors[0] == errors[2] == ""
    assert "b.png -> " in errors[1] and "differ in size" in errors[1]
    assert "(20, 30) and (9, 9)" in errors[3]
    assert "f.png: in no image format" in errors[4]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.flo", "a_flow.png", "c.flo", "c_flow.png"]
    assert found[0].words.startswith(f"{paths[0]} -> {paths[1]}: mean length ")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"a": (9, 30), "b": (9, 30)}, "b.png: frames of 9x30 pixels are smaller than"),
        ({"a": (20, 28), "b": (20, 29)}, "differ in size"),
        ({"a": (20, 28)}, "between two frames; only .*a.png is given"),
    ],
)
def test_frames_without_flow(trained_flow, tmp_path, shapes, message):
    (found,) = run(
        trained_flow, write_frames(tmp_path, **shapes), Folder(tmp_path / "out")
    )
    with pytest.raises(ValueError, match=message):
        raise found.error


def test_flow_of_a_video(trained_flow, tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 20, 28, 3), dtype=np.uint8)
    video.write(tmp_path / "moving.mp4", frames, 5)
    folder = Folder(tmp_path / "out")
    (found,) = run(trained_flow, [tmp_path / "moving.mp4"], folder, attention=True)
    names = sorted(path.name for path in folder.root.iterdir())
    assert names == [
        *(f"moving_00000{number}.flo" for number in range(3)),
        "moving_attention.npz",
        "moving_attention.png",
        "moving_flow.mp4",
    ]
    assert len(list(video.read_frames(folder.root / "moving_flow.mp4"))) == 3
    assert [str(folder.root / name) for name in names[:3]] == found.record["flow"]


def test_a_video_that_is_none_or_has_one_frame(trained_flow, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    video.write(tmp_path / "still.mp4", np.zeros((1, 20, 28, 3), np.uint8), 5)
    paths = [tmp_path / "broken.mp4", tmp_path / "still.mp4"]
    broken, still = run(trained_flow, paths, Folder(tmp_path / "out"))
    assert "broken.mp4 can't be decoded" in str(broken.error)
    assert "still.mp4 has fewer than two frames" in str(still.error)


def test_nothing_that_was_there_is_replaced(trained_flow, tmp_path):
    paths = write_frames(tmp_path, a=(20, 28), b=(20, 28))
    (tmp_path / "a.flo").write_bytes(b"of another program")
    with pytest.raises(FileExistsError, match="a.flo is there already"):
        run(trained_flow, paths, Folder(tmp_path, inputs=paths))
    assert (tmp_path / "a.flo").read_bytes() == b"of another program"
    assert Predictor.needs_folder  # so this is told before anything is compiled:
    (without,) = run(trained_flow, paths, None)
    assert "say where with --output=DIR" in str(without.error)


def test_paths_of_the_standard_input_come_after_the_others(tmp_path):
    paths = write_frames(tmp_path, a=(20, 28), b=(20, 28), c=(20, 28))
    predictor = Predictor(configs.get_config(), Identity())
    items = list(predictor.items(paths[:2], [str(paths[2]).encode()]))
    assert [item.data for item in items] == [tuple(paths[:2]), tuple(paths[1:])]
    assert [item.stem for item in items] == ["a", "b"]


def test_attention_is_looked_at_without_a_loop():
    config = configs.get_config("autoflow")
    predictor = Predictor(config, Identity())
    assert predictor.config_to_look_at.model.query_chunk == 0
    assert config.model.query_chunk > 0
    assert predictor.config_to_look_at.model.image_size == config.model.image_size
