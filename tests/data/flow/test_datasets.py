"""Datasets of optical flow in their true layouts, made small."""

import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import datasets


def assert_equal(found, expected):
    """All that was written is what is read."""
    np.testing.assert_array_equal(found["frames"], expected.frames)
    np.testing.assert_array_equal(found["valid"], expected.valid)
    valid = expected.valid
    np.testing.assert_array_equal(found["flow"][valid], expected.flow[valid])
    if "occluded" in found:
        np.testing.assert_array_equal(found["occluded"], expected.occluded)


def read(name, folder):
    source = datasets.open_dataset(name, folder)
    return [source[index] for index in range(len(source))]


def test_flying_chairs_by_its_split(tmp_path):
    first, second, third = fake_flow.chairs(tmp_path / "FlyingChairs_release")
    found = read("chairs", tmp_path)
    assert len(found) == 2
    assert_equal(found[0], first)
    assert_equal(found[1], third)
    (validation,) = read("chairs_validation", tmp_path)
    assert_equal(validation, second)


@pytest.mark.parametrize("rendering", ["clean", "final"])
def test_flying_things_both_ways_in_time(tmp_path, rendering):
    frames = fake_flow.things(tmp_path / "FlyingThings3D")
    found = read(f"things_{rendering}", tmp_path)
    assert [pair["flow"][0, 0].tolist() for pair in found] == [
        [6, 6],
        [7, 7],
        [-8, -8],
        [-7, -7],
    ]
    for pair, (first, second) in zip(found, [(0, 1), (1, 2), (2, 1), (1, 0)]):
        np.testing.assert_array_equal(pair["frames"][0], frames[first])
        np.testing.assert_array_equal(pair["frames"][1], frames[second])


@pytest.mark.parametrize("rendering", ["clean", "final"])
def test_sintel_with_its_masks(tmp_path, rendering):
    written = fake_flow.sintel(tmp_path / "Sintel")
    found = read(f"sintel_{rendering}", tmp_path)
    assert len(found) == len(written) == 3
    for pair, expected in zip(found, written):
        assert_equal(pair, expected)
        assert "occluded" in pair
    tests = read(f"sintel_{rendering}_test", tmp_path)
    assert len(tests) == 2
    assert not any(pair["valid"].any() for pair in tests)


@pytest.mark.parametrize(("year", "frames"), [(2012, "colored_0"), (2015, "image_2")])
def test_kitti_is_sparse_and_of_several_sizes(tmp_path, year, frames):
    sizes = [(24, 32), (26, 30)]
    written = fake_flow.kitti(tmp_path / f"KITTI_{year}", sizes, frames)
    source = datasets.open_dataset(f"kitti_{year}", tmp_path)
    assert [source.shape(index) for index in range(len(source))] == sizes
    for index, expected in enumerate(written):
        assert_equal(source[index], expected)
        assert "occluded" in source[index]
    assert len(read(f"kitti_{year}_test", tmp_path)) == 2


def test_hd1k_leaves_out_the_last_frame_of_a_sequence(tmp_path):
    written = fake_flow.hd1k(tmp_path / "HD1K")
    found = read("hd1k", tmp_path)
    assert len(found) == len(written) == 3
    for pair, expected in zip(found, written):
        assert_equal(pair, expected)


def test_autoflow_as_released(tmp_path):
    written = fake_flow.autoflow(tmp_path / "AutoFlow")
    found = read("autoflow", tmp_path)
    assert len(found) == len(written) == 2
    for pair, expected in zip(found, written):
        assert_equal(pair, expected)


# What is wrong


def test_a_dataset_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="data.dir") as error:
        datasets.open_dataset("sintel_clean", tmp_path)
    assert str(tmp_path / "Sintel") in str(error.value)
    for name, folder in (("sintel_clean", "Sintel"), ("kitti_2015", "KITTI_2015")):
        (tmp_path / folder).mkdir()
        with pytest.raises(FileNotFoundError, match="holds no pairs; lay it out as"):
            datasets.open_dataset(name, tmp_path)
    (tmp_path / "FlyingChairs_release").mkdir()
    with pytest.raises(FileNotFoundError, match="https://lmb.informatik"):
        datasets.open_dataset("chairs", tmp_path)


def test_a_split_of_other_pairs(tmp_path):
    root = tmp_path / "FlyingChairs_release"
    fake_flow.chairs(root)
    (root / "FlyingChairs_train_val.txt").write_text("1\n2\n")
    with pytest.raises(ValueError, match="is of 2 pairs, but .*data has 3"):
        datasets.open_dataset("chairs", tmp_path)


def test_a_damaged_split_is_named(tmp_path):
    root = tmp_path / "FlyingChairs_release"
    fake_flow.chairs(root)
    split = root / "FlyingChairs_train_val.txt"
    split.write_bytes(b"1\n\xff\n1\n")
    with pytest.raises(ValueError, match="FlyingChairs_.*says .* of pair 2, not 1 "):
        datasets.open_dataset("chairs", tmp_path)


def test_a_frame_without_a_number_is_named(tmp_path):
    fake_flow.sintel(tmp_path / "Sintel")
    scene = tmp_path / "Sintel" / "training" / "clean" / "a_scene"
    scene.mkdir()
    for name in ("frame_a.png", "frame_b.png"):
        (scene / name).touch()
    with pytest.raises(ValueError, match="frame_a.png ends in no number"):
        datasets.open_dataset("sintel_clean", tmp_path)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("chairs", "FlyingChairs_release/data/00003_img2.ppm"),
        ("chairs", "FlyingChairs_release/data/00003_flow.flo"),
        ("things_clean", "FlyingThings3D/frames_cleanpass/TRAIN/A/0000/left/0007.png"),
        ("sintel_clean", "Sintel/training/clean/alley_1/frame_0002.png"),
        ("sintel_clean_test", "Sintel/test/clean/cave_3/frame_0002.png"),
        ("sintel_final", "Sintel/training/occlusions/alley_1/frame_0002.png"),
        ("kitti_2015", "KITTI_2015/training/image_2/000001_11.png"),
        ("kitti_2015", "KITTI_2015/training/image_2/000001_10.png"),
        ("kitti_2015", "KITTI_2015/training/flow_noc/000001_10.png"),
        ("hd1k", "HD1K/hd1k_input/image_2/000000_0002.png"),
        ("hd1k", "HD1K/hd1k_input/image_2/000000_0001.png"),
        ("hd1k", "HD1K/hd1k_flow_gt/flow_occ/000000_0000.png"),
        ("autoflow", "AutoFlow/static_40k_png_2_of_4/table_2_batch_0/im1.png"),
        ("autoflow", "AutoFlow/static_40k_png_2_of_4/table_2_batch_0/forward.flo"),
        ("pairs_train", "train/clip1/1_img2.png"),
        ("pairs_train", "train/clip1/1_img1.png"),
        ("pairs_train", "train/clip1/1_flow.flo"),
    ],
)
def test_a_missing_file_of_a_pair_is_named(tmp_path, name, missing):
    fake_flow.chairs(tmp_path / "FlyingChairs_release")
    fake_flow.things(tmp_path / "FlyingThings3D")
    fake_flow.sintel(tmp_path / "Sintel")
    fake_flow.kitti(tmp_path / "KITTI_2015", [(8, 9), (8, 9)])
    fake_flow.hd1k(tmp_path / "HD1K")
    fake_flow.autoflow(tmp_path / "AutoFlow")
    pairs = [fake_flow.make_pair(n, (8, 9))._asdict() for n in range(2)]
    fake_flow.pair_folder(tmp_path / "train", pairs)
    datasets.open_dataset(name, tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match="is missing, ") as error:
        datasets.open_dataset(name, tmp_path)
    assert missing in str(error.value).split(" is missing")[0]
