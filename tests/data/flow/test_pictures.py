"""Pictures of optical flow."""

import numpy as np

from perceiver_jax.data.flow import pictures


def test_colors_of_middlebury():
    """Right is red, down yellow, left cyan-blue, up purple; still is white."""
    field = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0], [0.5, 0]]], float)
    right, down, left, up, still, half = pictures.to_colors(field)[0].astype(int)
    assert right[0] == 255 and right[1] < 30 and right[2] < 30
    assert down[0] > 200 and down[1] > 200 and down[2] == 0
    assert left[0] == 0 and left[1] > 150 and left[2] == 255
    assert up[2] > 200 and up[1] == 0
    assert (still == 255).all()
    assert half[0] == 255 and abs(half[1] - (255 + right[1]) / 2) <= 1
    darker = pictures.to_colors(field, largest=0.5)[0]
    assert darker[0].max() == int(0.75 * 255)


def test_colors_go_round_without_a_jump():
    angles = np.linspace(-np.pi, np.pi, 721)
    field = np.stack([np.cos(angles), np.sin(angles)], -1)[None]
    colors = pictures.to_colors(field)[0].astype(int)
    jumps = np.sort(np.abs(np.diff(colors, axis=0)).max(-1))
    assert jumps[-2] < 12 and jumps[-1] < 50  # red does not quite meet red


def test_arrows_go_where_the_flow_goes_at_the_pictures_scale():
    white = np.full((160, 160, 3), 255, np.uint8)
    still = pictures.draw_arrows(white, np.zeros((80, 80, 2)))
    right = pictures.draw_arrows(white, np.tile([4.0, 0.0], (80, 80, 1)))
    assert (white == 255).all(), "the picture itself is kept"
    dark = lambda picture: (picture < 128).all(-1)
    assert dark(still).sum() < dark(right).sum()
    # The first arrow starts at pixel (2.5, 2.5), which is (5, 5) here, and is 8 long.
    first = dark(right)[:10, :15]
    assert first[5, 5:14].all() and not first[5, :5].any() and not first[:3].any()


def test_error_map_turns_from_blue_to_red():
    truth = np.zeros((1, 4, 2))
    flow = np.array([[[0.1, 0], [1, 0], [0, 9], [0, 60]]])
    valid = np.array([[True, True, True, False]])
    colors = pictures.error_map(flow, truth, valid)[0].astype(int)
    assert colors[0][2] > colors[0][0] and colors[1][2] > colors[1][0]
    assert colors[2][0] > colors[2][2]
    assert not colors[3].any()


def test_a_panel_shows_a_pair_its_flows_and_the_error():
    rng = np.random.default_rng(0)
    frames = rng.uniform(-1, 1, (2, 40, 50, 3))
    truth, flow = rng.normal(size=(2, 40, 50, 2))
    shown = pictures.panel(frames, truth, np.ones((40, 50), bool), flow)
    scale = 5  # to 180 pixels or more
    cell = (40 * scale + 24, 50 * scale + 2)
    assert shown.shape == (cell[0], 5 * cell[1], 3) and shown.dtype == np.uint8
    first = shown[22:-2, : 50 * scale][::scale, ::scale]
    assert np.abs(first - (frames[0] + 1) / 2 * 255).max() <= 1
    unknown = pictures.panel(frames, truth, np.zeros((40, 50), bool), flow)
    assert unknown.shape == shown.shape
    assert not unknown[30:-2, -50 * scale : -2].any(), "no error where none is known"
