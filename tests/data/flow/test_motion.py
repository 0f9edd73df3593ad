"""Motion: against OpenCV's homographies, forward and backward."""

import cv2
import numpy as np

from perceiver_jax.data.flow import motion as motions
from perceiver_jax.data.flow.motion import Homography, Motion

SIZE = (120, 160)


def random_motion(seed=0, motion=20.0):
    rng = np.random.default_rng(seed)
    return Motion(
        tuple(motions.random_homography(rng, SIZE, motion) for _ in range(2)),
        motions.random_waves(rng, SIZE, motion),
    )


def test_homographies_are_those_of_opencv():
    motion = Motion(random_motion().homographies)
    points = np.random.default_rng(0).uniform(0, 160, (2, 50))
    found = motion.forward(points, 1.0)
    expected = cv2.perspectiveTransform(points.T[None], motion.matrix(1.0))[0].T
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(motion.backward(found, 1.0), points, atol=1e-6)
    np.testing.assert_array_equal(motion.forward(points, 0.0), points)


def test_deformations_are_undone():
    for seed in range(5):
        motion = random_motion(seed)
        points = np.random.default_rng(seed).uniform(0, 120, (2, 200))
        there = motion.forward(points, 1.0)
        assert np.abs(there - points).max() > 2
        np.testing.assert_allclose(motion.backward(there, 1.0), points, atol=5e-3)


def test_motion_grows_from_none_at_time_0():
    points = np.random.default_rng(1).uniform(0, 120, (2, 50))
    motion = random_motion(3)
    lengths = [
        np.linalg.norm(motion.forward(points, t) - points, axis=0).mean()
        for t in (0, 0.25, 0.5, 1)
    ]
    assert lengths[0] == 0 and (np.diff(lengths) > 0).all()


def test_a_homography_turns_about_its_center():
    center = np.array([30.0, 20.0])
    turn = np.array([[0, -1], [1, 0]]) - np.eye(2)  # by 90 degrees
    motion = Motion((Homography(center, np.zeros(2), turn, np.zeros(2)),))
    points = np.array([[30.0, 35.0], [20.0, 20.0]])  # the centre, and 5 right of it
    expected = [[30, 30], [20, 25]]
    np.testing.assert_allclose(motion.forward(points, 1.0), expected, atol=1e-9)


def test_waves_are_not_steeper_than_can_be_undone():
    x = np.stack([np.arange(0, 160, 0.5), np.full(320, 40.0)])
    for seed in range(20):
        waves = motions.random_waves(np.random.default_rng(seed), SIZE, 100.0)
        moved = Motion((), waves).forward(x, 1.0)
        assert 0 < np.abs(np.diff(moved - x, axis=1)).max() < 0.2 * 0.5


def test_motion_is_weaker_than_its_scale_but_for_a_corner_in_20():
    corners = np.array([[0, 159, 0, 159], [0, 0, 119, 119.0]])
    rng = np.random.default_rng(0)
    moved = [
        Motion((motions.random_homography(rng, SIZE, 10.0),)).forward(corners, 1.0)
        for _ in range(2000)
    ]
    largest = np.linalg.norm(np.array(moved) - corners, axis=1).max(-1)
    assert 0.02 < (largest > 10).mean() < 0.1
    assert np.median(largest) < 5
