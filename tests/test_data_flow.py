"""Flow files, colours and tiles; videos."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from perceiver_jax.data import flow, video


def test_flo_file_is_the_format_and_comes_back(tmp_path):
    field = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    path = tmp_path / "x.flo"
    flow.write_flo(path, field)
    data = path.read_bytes()
    assert data[:4] == b"PIEH"
    assert struct.unpack("<ii", data[4:12]) == (5, 3)  # width first
    np.testing.assert_array_equal(flow.read_flo(path), field)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: b"PNG" + data[3:], "no .flo file"),
        (lambda data: b"", "no .flo file"),
        (lambda data: data[:4] + struct.pack("<ii", -5, 3) + data[12:], "damaged"),
    ],
)
def test_damaged_flo_file(tmp_path, damage, message):
    path = tmp_path / "x.flo"
    flow.write_flo(path, np.zeros((3, 5, 2)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        flow.read_flo(path)


def test_colors_of_middlebury():
    """Right is red, down yellow, left cyan-blue, up purple; still is white."""
    field = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0], [0.5, 0]]], float)
    right, down, left, up, still, half = flow.to_colors(field)[0].astype(int)
    assert right[0] == 255 and right[1] < 30 and right[2] < 30
    assert down[0] > 200 and down[1] > 200 and down[2] == 0
    assert left[0] == 0 and left[1] > 150 and left[2] == 255
    assert up[2] > 200 and up[1] == 0
    assert (still == 255).all()
    assert half[0] == 255 and abs(half[1] - (255 + right[1]) / 2) <= 1
    darker = flow.to_colors(field, largest=0.5)[0]
    assert darker[0].max() == int(0.75 * 255)


def test_colors_go_round_without_a_jump():
    angles = np.linspace(-np.pi, np.pi, 721)
    field = np.stack([np.cos(angles), np.sin(angles)], -1)[None]
    colors = flow.to_colors(field)[0].astype(int)
    jumps = np.sort(np.abs(np.diff(colors, axis=0)).max(-1))
    assert jumps[-2] < 12 and jumps[-1] < 50  # red does not quite meet red


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (368, [0]),
        (369, [0, 1]),
        (436, [0, 68]),
        (716, [0, 348]),
        (717, [0, 348, 349]),
        (1024, [0, 348, 656]),
    ],
)
def test_tiles_cover_an_axis_once_and_overlap(length, starts):
    assert flow.tile_starts(length, 368) == starts
    for start, after in zip(starts, starts[1:]):
        assert start + 368 - after >= flow.MIN_OVERLAP


def test_blend_is_the_mean_weighted_by_distance_to_the_edge():
    """Against loops over pixels, for a model that says where its tile is."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(2, 30, 37, 3)).astype(np.float32)
    tile = (24, 26)
    predict = lambda part: part[0, :, :, :2] * part[1].mean()
    found = flow.blend_tiles(frames, tile, predict)
    total, weights = np.zeros((30, 37, 2)), np.zeros((30, 37))
    for top in (0, 6):
        for left in (0, 11):
            part = predict(frames[:, top : top + 24, left : left + 26])
            for y in range(24):
                for x in range(26):
                    weight = min(y + 1, 24 - y, x + 1, 26 - x)
                    total[top + y, left + x] += weight * part[y, x]
                    weights[top + y, left + x] += weight
    np.testing.assert_allclose(found, total / weights[..., None], rtol=1e-5, atol=1e-6)


def test_frames_of_a_tile_pass_once_and_unchanged():
    frames = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    seen = []
    found = flow.blend_tiles(
        frames, (5, 6), lambda part: seen.append(part) or part[0, ..., :2]
    )
    assert len(seen) == 1
    np.testing.assert_allclose(found, frames[0, ..., :2], rtol=1e-6)


def test_frames_smaller_than_a_tile_are_refused():
    with pytest.raises(ValueError, match="4x9 pixels are smaller than the model's 5x6"):
        flow.blend_tiles(np.zeros((2, 4, 9, 3)), (5, 6), None)


# Video


def test_video_comes_back_with_its_size_and_rate(tmp_path):
    path = tmp_path / "x.mp4"
    frames = [np.full((17, 24, 3), value, np.uint8) for value in (0, 100, 250)]
    video.write(path, frames, Fraction(12))
    found = list(video.read_frames(path))
    assert [frame.shape for frame in found] == 3 * [(16, 24, 3)]
    means = [frame.mean() for frame in found]
    np.testing.assert_allclose(means, [0, 100, 250], atol=6)
    assert video.frame_rate(path) == 12


def test_file_that_is_no_video(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(ValueError, match="x.mp4 can't be decoded"):
        list(video.read_frames(path))
