"""Flow files, to the bit, against OpenCV's and such as are made by hand."""

import struct

import cv2
import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import files
from perceiver_jax.data.sources import CorruptExample

SHAPE = (5, 7)


def random_flow(seed=0):
    return np.random.default_rng(seed).normal(size=(*SHAPE, 2)).astype(np.float32)


def kitti_flow(seed=0):
    steps = np.random.default_rng(seed).integers(-(2**15), 2**15, (*SHAPE, 2))
    return steps.astype(np.float32) / 64


@pytest.mark.parametrize(
    ("suffix", "flow"),
    [(".flo", random_flow()), (".pfm", random_flow()), (".png", kitti_flow())],
)
def test_what_is_written_comes_back_to_the_bit(tmp_path, suffix, flow):
    path = tmp_path / f"x{suffix}"
    files.write_flow(path, flow)
    found, valid = files.read_flow(path)
    assert found.dtype == np.float32 and valid.all()
    np.testing.assert_array_equal(found, flow)


@pytest.mark.parametrize("suffix", [".flo", ".png"])
def test_pixels_that_are_not_valid_come_back_so(tmp_path, suffix):
    path, flow = tmp_path / f"x{suffix}", kitti_flow()
    valid = np.random.default_rng(1).random(SHAPE) < 0.5
    files.write_flow(path, flow, valid)
    found, known = files.read_flow(path)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(found[valid], flow[valid])


def test_flo_is_the_bytes_of_the_format_and_opencv_reads_it(tmp_path):
    path, flow = tmp_path / "x.flo", random_flow()
    files.write_flow(path, flow)
    data = path.read_bytes()
    assert data[:4] == b"PIEH"
    assert struct.unpack("<ii", data[4:12]) == SHAPE[::-1]  # width first
    assert struct.unpack("<f", data[12:16])[0] == flow[0, 0, 0]
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(path)), flow)
    cv2.writeOpticalFlow(str(tmp_path / "y.flo"), flow)
    assert (tmp_path / "y.flo").read_bytes() == data


def test_pfm_of_flying_things_has_its_last_row_first(tmp_path):
    path, flow = tmp_path / "x.pfm", random_flow()
    fake_flow.write_pfm(path, flow)
    np.testing.assert_array_equal(files.read_flow(path)[0], flow)
    header, shape, scale, _ = path.read_bytes().split(b"\n", 3)
    files.write_flow(tmp_path / "y.pfm", flow)
    written = (tmp_path / "y.pfm").read_bytes().split(b"\n", 3)
    assert written[:2] == [header, shape] and float(written[2]) == float(scale)
    assert written[3] == path.read_bytes().split(b"\n", 3)[3]


def test_pfm_of_either_byte_order(tmp_path):
    flow = random_flow()
    rows = np.dstack([flow, np.zeros(SHAPE)])[::-1]
    for scale, dtype in ((b"-1.0", "<f4"), (b"1.0", ">f4")):
        path = tmp_path / f"{dtype[1:]}.pfm"
        path.write_bytes(b"PF\n7 5\n" + scale + b"\n" + rows.astype(dtype).tobytes())
        np.testing.assert_array_equal(files.read_flow(path)[0], flow)


def test_kitti_is_16_bit_red_green_and_a_mark(tmp_path):
    path = tmp_path / "x.png"
    valid = np.array([[True, False]])
    files.write_flow(path, np.array([[[1.5, -2.25], [9, 9]]], np.float32), valid)
    blue, green, red = np.moveaxis(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), -1, 0)
    assert red.dtype == np.uint16
    assert red[0].tolist() == [2**15 + 96, 2**15]
    assert green[0].tolist() == [2**15 - 144, 2**15]
    assert blue[0].tolist() == [1, 0]
    fake_flow.write_kitti(tmp_path / "y.png", kitti_flow(), np.ones(SHAPE, bool))
    np.testing.assert_array_equal(files.read_flow(tmp_path / "y.png")[0], kitti_flow())


def test_suffixes_of_any_case(tmp_path):
    path = tmp_path / "X.FLO"
    files.write_flow(path, random_flow())
    np.testing.assert_array_equal(files.read_flow(path)[0], random_flow())


def test_nan_comes_through_and_is_no_word_for_unknown(tmp_path):
    flow = random_flow()
    flow[0, 0], flow[1, 1] = np.nan, 1e10
    for suffix in (".flo", ".pfm"):
        path = tmp_path / f"x{suffix}"
        files.write_flow(path, flow)
        found, valid = files.read_flow(path)
        np.testing.assert_array_equal(found, flow)
        assert valid[0, 0] and valid[1, 1] == (suffix == ".pfm")


@pytest.mark.parametrize(
    ("suffix", "damage", "message"),
    [
        (".flo", lambda data: data[:-1], "truncated"),
        (".flo", lambda data: data + b"x", "truncated"),
        (".flo", lambda data: b"PNG" + data[3:], "no .flo file"),
        (".flo", lambda data: b"", "no .flo file"),
        (".flo", lambda data: data[:4] + struct.pack("<ii", -5, 3) + data[12:], "dama"),
        (".flo", lambda data: data[3::-1] + data[4:], "no .flo file"),  # big-endian
        (
            ".flo",
            lambda data: data[:4] + struct.pack("<ff", np.nan, np.inf) + data[12:],
            "damaged or truncated",
        ),
        (".pfm", lambda data: data[:-5], "damaged, truncated"),
        (".pfm", lambda data: data.replace(b"5 3", b"-5 3"), "damaged, truncated"),
        (".pfm", lambda data: data.replace(b"5 3", b"999999 999999"), "damaged, t"),
        (".pfm", lambda data: b"", "damaged, truncated"),
        (".pfm", lambda data: b"Pf" + data[2:], "three channels"),
        (".png", lambda data: data[: len(data) // 2], "damaged, truncated"),
        (".png", lambda data: b"no png", "damaged, truncated"),
    ],
)
def test_damaged_files_are_named(tmp_path, suffix, damage, message):
    path = tmp_path / f"x{suffix}"
    files.write_flow(path, np.zeros((3, 5, 2), np.float32))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptExample, match=message) as error:
        files.read_flow(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 5, 3), np.uint8),
        np.zeros((3, 5), np.uint16),
        np.zeros((3, 5, 4), np.uint16),
    ],
)
def test_png_that_is_not_kittis(tmp_path, pixels):
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), pixels)
    with pytest.raises(CorruptExample, match="16-bit .png of three channels"):
        files.read_flow(path)


@pytest.mark.parametrize(
    ("name", "flow", "valid", "message"),
    [
        ("x.tif", np.zeros((3, 5, 2)), None, "no flow file: use .flo, .pfm, .png"),
        ("x.flo", np.zeros((3, 5, 3)), None, r"flow is \[H, W, 2\], got \[3, 5, 3\]"),
        ("x.png", np.full((3, 5, 2), 600.0), None, "holds -512 to 511.98 pixels"),
        ("x.png", np.full((3, 5, 2), np.nan), None, "holds -512 to 511.98 pixels"),
        ("x.pfm", np.zeros((3, 5, 2)), np.zeros((3, 5), bool), "can't tell where"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, flow, valid, message):
    with pytest.raises(ValueError, match=message):
        files.write_flow(tmp_path / name, flow, valid)
    assert not (tmp_path / name).exists()
