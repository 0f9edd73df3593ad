"""Rendered pairs: their flow is true, and they are functions of (seed, index)."""

import pickle

import cv2
import numpy as np
import pytest

from perceiver_jax.data.flow import photos, rendering
from perceiver_jax.data.flow.layers import Layer
from perceiver_jax.data.flow.motion import Homography, Motion
from perceiver_jax.data.flow.rendering import Rendering

SIZE = (120, 160)
PHOTOS = photos.scikit_learn()
STILL = Motion(())


def clean(motion, size=SIZE, **changes):
    """Pairs whose frames show the same colours."""
    return Rendering(size, motion, blurred=0, foggy=0, noisy=0, **changes)


def some(look, count=8, seed=0):
    source = rendering.RenderedPairs(PHOTOS, look, count, seed)
    return [source[index] for index in range(count)]


def warp_back(pair):
    """The second frame, fetched along the flow: [H, W, 3]."""
    height, width = pair["valid"].shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + pair["flow"][..., 0], y + pair["flow"][..., 1]
    return cv2.remap(pair["frames"][1], x, y, cv2.INTER_CUBIC).astype(float)


def shift(x, y):
    """A motion that is the same everywhere."""
    zero = np.zeros(2)
    return Motion((Homography(zero, np.array([x, y], float), np.zeros((2, 2)), zero),))


def test_second_frame_along_the_flow_is_the_first():
    """Grey levels, of 255, where the second frame shows the pixel."""
    errors, unmoved = [], []
    for pair in some(clean(motion=12.0, deformed=0.5)):
        shown = ~pair["occluded"]
        first = pair["frames"][0].astype(float)
        errors.append(np.abs(warp_back(pair) - first)[shown].mean())
        unmoved.append(np.abs(pair["frames"][1] - first)[shown].mean())
    assert max(errors) < 4
    assert np.mean(errors) < 2.5 and np.mean(unmoved) > 12


def test_moved_photos_move_by_one_homography_which_opencv_finds_and_applies():
    for pair in some(Rendering(SIZE, 12.0).only_homographies(), count=4):
        assert not pair["occluded"].all()
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        start = np.stack([x, y], -1).reshape(-1, 2).astype(np.float64)
        end = start + pair["flow"].reshape(-1, 2)
        matrix, _ = cv2.findHomography(start, end)
        moved = cv2.perspectiveTransform(start[None], matrix)[0]
        np.testing.assert_allclose(moved, end, atol=1e-2)
        # The whole frame, moved by OpenCV, is the second frame where both show it.
        shown = cv2.warpPerspective(np.ones(SIZE, np.uint8), matrix, SIZE[::-1]) == 1
        shown = cv2.erode(shown.astype(np.uint8), np.ones((5, 5))) == 1
        expected = cv2.warpPerspective(pair["frames"][0], matrix, SIZE[::-1])
        difference = np.abs(expected.astype(float) - pair["frames"][1])[shown]
        assert difference.mean() < 4


def test_what_a_moving_square_covers_is_occluded():
    texture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    square = np.full((10, 12), 255, np.uint8)
    ground = Layer(texture, np.eye(3), STILL)
    object_ = Layer(texture, np.eye(3), shift(5, 0), square, np.array([8.0, 15.0]))
    size = (40, 50)
    (_, before), (_, after) = (
        rendering._draw([ground, object_], t, size) for t in (0, 1)
    )
    flow, occluded = rendering._exact_flow([ground, object_], before, after)
    inside = np.zeros(size, bool)
    inside[15:25, 8:20] = True
    np.testing.assert_array_equal(before == 1, inside)
    np.testing.assert_allclose(flow[inside], np.tile([5, 0], (120, 1)), atol=1e-6)
    assert not flow[~inside].any()
    covered = np.zeros(size, bool)
    covered[15:25, 20:25] = True
    np.testing.assert_array_equal(occluded, covered)


def test_what_leaves_the_frame_is_occluded():
    texture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    layers = [Layer(texture, np.eye(3), shift(0, -7))]
    shown = [rendering._draw(layers, t, (40, 50))[1] for t in (0, 1)]
    _, occluded = rendering._exact_flow(layers, *shown)
    assert occluded[:7].all() and not occluded[7:].any()


def test_a_mask_has_its_opacity_and_moves_by_parts_of_a_pixel():
    white = np.full((20, 20, 3), 255, np.uint8)
    ground = Layer(np.zeros_like(white), np.eye(3), STILL)
    mask = np.full((1, 4), 255, np.uint8)
    bar = Layer(white, np.eye(3), shift(0.25, 0), mask, np.array([5.0, 9.0]))
    frame, _ = rendering._draw([ground, bar], 1.0, (20, 20))
    row = frame[9, :, 0] / 255
    np.testing.assert_allclose(row[5:10], [0.75, 1, 1, 1, 0.25], atol=0.01)
    assert not np.delete(row, range(5, 10)).any()


def test_pairs_are_functions_of_seed_and_index():
    look = Rendering((24, 32), 5.0)
    source = rendering.RenderedPairs(PHOTOS, look, 10, seed=3)
    later = source[7]
    [source[index] for index in range(7)]
    again = pickle.loads(pickle.dumps(source))[7]
    for name in ("frames", "flow", "valid", "occluded"):
        np.testing.assert_array_equal(later[name], again[name])
    other = rendering.RenderedPairs(PHOTOS, look, 10, seed=4)[7]
    assert (other["flow"] != later["flow"]).any()
    assert (source[6]["flow"] != later["flow"]).any()
    assert later["frames"].shape == (2, 24, 32, 3)
    assert later["frames"].dtype == np.uint8 and later["flow"].dtype == np.float32
    assert len(source) == 10
    with pytest.raises(IndexError):
        source[10]


def test_strong_motion_is_rarer_than_weak_and_bounded():
    lengths = np.concatenate(
        [
            np.linalg.norm(pair["flow"], axis=-1).ravel()
            for pair in some(Rendering((48, 64), 10.0), count=60)
        ]
    )
    counts, _ = np.histogram(lengths, [0, 3, 6, 12])
    assert counts[0] > counts[1] > counts[2] > 0
    assert lengths.max() < 25


@pytest.mark.parametrize("effect", ["blurred", "foggy", "noisy"])
def test_effects_change_frames_and_not_the_flow(effect):
    look = {"blurred": 0, "foggy": 0, "noisy": 0}
    plain = some(Rendering((48, 64), 8.0, **look), count=3)
    changed = some(Rendering((48, 64), 8.0, **look | {effect: 1}), count=3)
    for before, after in zip(plain, changed):
        np.testing.assert_array_equal(before["flow"], after["flow"])
        difference = after["frames"].astype(float) - before["frames"]
        assert 0.5 < np.abs(difference).mean() < 90


def test_noise_is_drawn_for_each_frame_and_fog_stays():
    still = {"motion": 0.0, "objects": (0, 0), "deformed": 0, "blurred": 0}
    (noisy,) = some(Rendering((48, 64), foggy=0, noisy=1, **still), count=1)
    (foggy,) = some(Rendering((48, 64), foggy=1, noisy=0, **still), count=1)
    assert (noisy["frames"][0] != noisy["frames"][1]).mean() > 0.5
    np.testing.assert_array_equal(*foggy["frames"])


def test_classic_methods_find_the_flow_and_better_if_it_is_small():
    """DIS and Farneback, of OpenCV: the mean end-point error beside no motion's."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    farneback = lambda *grey: cv2.calcOpticalFlowFarneback(
        *grey, None, 0.5, 3, 15, 3, 5, 1.2, 0
    )
    errors = {}
    for motion in (6.0, 30.0):
        found = []
        for pair in some(Rendering(SIZE, motion, (0, 4)), count=12):
            grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in pair["frames"]]
            zero = np.zeros_like(pair["flow"])
            guesses = [zero, dis.calc(*grey, None), farneback(*grey)]
            found.append(
                [np.linalg.norm(x - pair["flow"], axis=-1).mean() for x in guesses]
            )
        errors[motion] = np.mean(found, 0)
    small, large = errors[6.0], errors[30.0]
    assert small[1] < 0.5 * small[0] and small[2] < 0.8 * small[0]
    assert (small[1:] < large[1:]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], Rendering(SIZE, 1.0), 5), "5 pairs of 0 photos"),
        ((PHOTOS, Rendering(SIZE, 1.0), 0), "0 pairs of 2 photos"),
    ],
)
def test_nothing_to_render(arguments, message):
    with pytest.raises(ValueError, match=message):
        rendering.RenderedPairs(*arguments)


def test_a_photo_of_one_pixel_is_refused():
    dot = np.zeros((1, 1, 3), np.uint8)
    with pytest.raises(ValueError, match="A photo of .1, 1. pixels is too small"):
        rendering.RenderedPairs([dot], Rendering(SIZE, 1.0), 1)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ((4, 50), 1.0),
        (SIZE, -1.0),
        (SIZE, 121.0),
        (SIZE, 1.0, (3, 1)),
        (SIZE, 1.0, (0, 1), (0.0, 1.0)),
        (SIZE, 1.0, (0, 1), (2.0, 1.0)),
    ],
)
def test_what_cannot_be_rendered(arguments):
    with pytest.raises(ValueError, match="must be 8 pixels or more"):
        Rendering(*arguments)
