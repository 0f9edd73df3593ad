"""Pairs in files: how they are found and read, and what is said of bad ones."""

import pickle

import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import datasets, pair_files
from perceiver_jax.data.sources import CorruptExample


def own_pairs(folder):
    source = datasets.open_dataset("pairs_train", folder)
    return [source[index] for index in range(len(source))]


def assert_equal(found, expected):
    """All that was written is what is read."""
    for name in ("frames", "valid"):
        np.testing.assert_array_equal(found[name], getattr(expected, name))
    known = expected.valid
    np.testing.assert_array_equal(found["flow"][known], expected.flow[known])


def test_ones_own_pairs_of_any_formats(tmp_path):
    root = tmp_path / "train"
    first, second = (fake_flow.make_pair(n, (8, 10), 0.5) for n in range(2))
    fake_flow.write_image(root / "a_img1.png", first.frames[0])
    fake_flow.write_image(root / "a_img2.bmp", first.frames[1])
    fake_flow.write_kitti(root / "a_flow.png", first.flow, first.valid)
    fake_flow.write_image(root / "deep" / "b_img1.png", second.frames[0])
    fake_flow.write_image(root / "deep" / "b_img2.tiff", second.frames[1])
    fake_flow.write_pfm(root / "deep" / "b_flow.pfm", second.flow)
    found = own_pairs(tmp_path)
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
    assert len(own_pairs(tmp_path)) == 2


def test_sizes_are_known_without_decoding(tmp_path):
    sizes = [(24, 32), (26, 30)]
    fake_flow.kitti(tmp_path / "KITTI_2015", sizes)
    source = datasets.open_dataset("kitti_2015", tmp_path)
    first = source.pairs[0].first
    first.write_bytes(first.read_bytes()[:100])
    assert [source.shape(index) for index in range(2)] == sizes
    source.check_sizes((24, 30))
    with pytest.raises(ValueError, match="000001_10.png: frames of 26x30 .* 24x32"):
        source.check_sizes((24, 32))


# What is wrong. A damaged pair is one error, whichever of its files is damaged.


def test_frames_and_flow_of_different_sizes(tmp_path):
    fake_flow.autoflow(tmp_path / "AutoFlow")
    source = datasets.open_dataset("autoflow", tmp_path)
    paths = source.pairs[0]
    fake_flow.write_image(paths.second, np.zeros((24, 31, 3), np.uint8))
    with pytest.raises(CorruptExample, match="24x31 pixels, but .* is of 24x32"):
        source[0]
    paths = source.pairs[1]
    fake_flow.write_flo(paths.flow, np.zeros((23, 32, 2), np.float32))
    with pytest.raises(CorruptExample, match="forward.flo is of 23x32 pixels"):
        source[1]


def test_a_damaged_file_of_a_pair_is_named(tmp_path):
    fake_flow.sintel(tmp_path / "Sintel")
    fake_flow.kitti(tmp_path / "KITTI_2015", [(24, 32)])
    for name in ("sintel_clean", "kitti_2015"):
        source = datasets.open_dataset(name, tmp_path)
        for path in filter(None, source.pairs[0]):
            whole = path.read_bytes()
            for data in (whole[: len(whole) // 2], b""):
                path.write_bytes(data)
                with pytest.raises(CorruptExample) as error:
                    source[0]
                assert str(path) in str(error.value)
            path.write_bytes(whole)
        assert source[0]["valid"].any()


def test_a_frame_that_says_no_size_is_named(tmp_path):
    fake_flow.autoflow(tmp_path / "AutoFlow")
    source = datasets.open_dataset("autoflow", tmp_path)
    path = source.pairs[0].first
    huge = path.read_bytes()[:16] + (2**16).to_bytes(4) * 2
    for data in (b"", huge + path.read_bytes()[24:]):
        path.write_bytes(data)
        with pytest.raises(CorruptExample, match="im0.png: its size can't be read"):
            source.shape(0)


def test_a_folder_without_pairs_says_how_to_lay_it_out(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no pairs; lay .* NAME_img1.png"):
        pair_files.pair_folder(tmp_path)


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
    (found,) = own_pairs(tmp_path)
    np.testing.assert_array_equal(found["flow"], pair["flow"])


def test_a_frame_of_an_unknown_format_is_missing(tmp_path):
    pair = fake_flow.make_pair(0, (8, 9))._asdict()
    fake_flow.pair_folder(tmp_path / "train", [pair])
    clip = tmp_path / "train" / "clip0"
    (clip / "0_img1.png").rename(clip / "0_img1.xcf")
    with pytest.raises(FileNotFoundError, match="0_img1.png is .* also end in .jpg, "):
        datasets.open_dataset("pairs_train", tmp_path)
