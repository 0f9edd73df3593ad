"""Datasets of optical flow in their true layouts, made small."""

import pickle

import fake_flow
import numpy as np
import pytest
from PIL import Image

from perceiver_jax.data.flow import datasets, photos, rendering
from perceiver_jax.data.image import decoding
from perceiver_jax.data.sources import CorruptExample


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


def test_ones_own_pairs_of_any_formats(tmp_path):
    root = tmp_path / "train"
    first, second = (fake_flow.make_pair(n, (8, 10), 0.5) for n in range(2))
    fake_flow.write_image(root / "a_img1.png", first.frames[0])
    fake_flow.write_image(root / "a_img2.bmp", first.frames[1])
    fake_flow.write_kitti(root / "a_flow.png", first.flow, first.valid)
    fake_flow.write_image(root / "deep" / "b_img1.png", second.frames[0])
    fake_flow.write_image(root / "deep" / "b_img2.tiff", second.frames[1])
    fake_flow.write_pfm(root / "deep" / "b_flow.pfm", second.flow)
    found = read("pairs_train", tmp_path)
    assert_equal(found[0], first)
    assert_equal(found[1], second._replace(valid=np.ones((8, 10), bool)))


def test_sources_reach_worker_processes(tmp_path):
    fake_flow.autoflow(tmp_path / "AutoFlow")
    source = datasets.open_dataset("autoflow", tmp_path)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[1]["flow"], source[1]["flow"])


def test_ones_own_pairs_in_linked_folders(tmp_path):
    pair = fake_flow.make_pair(0, (8, 9))._asdict()
    fake_flow.pair_folder(tmp_path / "elsewhere", [pair])
    fake_flow.pair_folder(tmp_path / "train", [pair])
    (tmp_path / "train" / "more").symlink_to(tmp_path / "elsewhere")
    assert len(read("pairs_train", tmp_path)) == 2


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


def test_frames_and_flow_of_different_sizes(tmp_path):
    fake_flow.autoflow(tmp_path / "AutoFlow")
    source = datasets.open_dataset("autoflow", tmp_path)
    paths = source.pairs[0]
    fake_flow.write_image(paths.second, np.zeros((24, 31, 3), np.uint8))
    with pytest.raises(ValueError, match="24x31 pixels, but .* is of 24x32"):
        source[0]
    paths = source.pairs[1]
    fake_flow.write_flo(paths.flow, np.zeros((23, 32, 2), np.float32))
    with pytest.raises(ValueError, match="forward.flo is of 23x32 pixels"):
        source[1]


def test_a_corrupt_frame_is_named(tmp_path):
    fake_flow.autoflow(tmp_path / "AutoFlow")
    source = datasets.open_dataset("autoflow", tmp_path)
    path = source.pairs[0].first
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptExample, match="im0.png"):
        source[0]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_frames_of_any_number_of_channels_become_three(tmp_path, mode):
    pixels = fake_flow.make_pair(0, (8, 9)).frames[0]
    Image.fromarray(pixels).convert(mode).save(tmp_path / "x.png")
    assert decoding.read_image(tmp_path / "x.png").shape == (8, 9, 3)


def test_two_frames_of_one_name(tmp_path):
    pair = fake_flow.make_pair(0, (8, 9))
    fake_flow.pair_folder(tmp_path / "train", [pair._asdict()])
    fake_flow.write_image(tmp_path / "train" / "clip0" / "0_img1.bmp", pair.frames[0])
    with pytest.raises(ValueError, match="are both img1 of 0: keep one"):
        datasets.open_dataset("pairs_train", tmp_path)


def test_what_lies_beside_ones_own_pairs_is_left_alone(tmp_path):
    pair = fake_flow.make_pair(0, (8, 9))._asdict()
    fake_flow.pair_folder(tmp_path / "train", [pair])
    clip = tmp_path / "train" / "clip0"
    (clip / "0_flow.flo").rename(clip / "0_flow.FLO")
    others = ("._0_flow.flo", "_img1.png", "a_img1.txt", "0_img1.json", "my_photo.png")
    for name in others:
        (clip / name).write_bytes(b"")
    (found,) = read("pairs_train", tmp_path)
    np.testing.assert_array_equal(found["flow"], pair["flow"])


def test_a_frame_of_an_unknown_format_is_missing(tmp_path):
    pair = fake_flow.make_pair(0, (8, 9))._asdict()
    fake_flow.pair_folder(tmp_path / "train", [pair])
    clip = tmp_path / "train" / "clip0"
    (clip / "0_img1.png").rename(clip / "0_img1.xcf")
    with pytest.raises(FileNotFoundError, match="0_img1.png is .* also end in .jpg, "):
        datasets.open_dataset("pairs_train", tmp_path)


# Photos


def test_photos_of_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no images"):
        photos.folder(tmp_path)
    written = fake_flow.make_pair(0, (8, 9)).frames
    fake_flow.write_image(tmp_path / "a.png", written[0])
    fake_flow.write_image(tmp_path / "deep" / "b.PNG", written[1])
    for name in ("notes.txt", "notes.pdf", "video.mpg", ".a.png"):
        (tmp_path / name).write_text("no photo")
    found = photos.folder(tmp_path)
    assert len(found) == 2
    np.testing.assert_array_equal(np.stack([found[0], found[1]]), written)


def test_a_broken_photo_is_told_and_another_taken(tmp_path, caplog):
    written = fake_flow.make_pair(0, (8, 9)).frames
    fake_flow.write_image(tmp_path / "a.png", written[0])
    fake_flow.write_image(tmp_path / "b.png", written[1])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    found = photos.folder(tmp_path)
    np.testing.assert_array_equal(found[0], written[1])
    assert "a.png" in caplog.text
    fake_flow.write_image(tmp_path / "a.png", written[0][:1, :1])
    np.testing.assert_array_equal(photos.folder(tmp_path)[0], written[1])
    assert "a.png: 1x1 pixels are too few" in caplog.text


def test_large_photos_are_shrunk(tmp_path):
    fake_flow.write_image(tmp_path / "a.png", np.full((32, 4096, 3), 7, np.uint8))
    photo = photos.folder(tmp_path)[0]
    assert photo.shape == (16, 2048, 3) and (photo == 7).all()


def test_photos_reach_worker_processes(tmp_path):
    fake_flow.write_image(tmp_path / "a.png", fake_flow.make_pair(0, (8, 9)).frames[0])
    look = rendering.Rendering((16, 16), 1.0)
    source = rendering.RenderedPairs(photos.folder(tmp_path), look, 1)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[0]["frames"], source[0]["frames"])


def test_photos_that_packages_bring():
    for found in (photos.scikit_learn(), photos.matplotlib_portrait()):
        for photo in found:
            assert photo.dtype == np.uint8 and photo.shape[2] == 3
            assert min(photo.shape[:2]) > 400 and photo.std() > 30
