"""Numbers and pictures of flow, by hand."""

import jax
import numpy as np
import pytest

from experiments.optical_flow import outputs
from perceiver_jax.engine import losses, metrics


def result(flow, batch):
    mean = metrics.Mean()
    mean.add(jax.device_get(metrics.sums(outputs.measure(flow, batch))))
    return mean.result()


def test_end_point_error_and_its_gradient():
    flow = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    target = np.zeros((2, 2), np.float32)
    np.testing.assert_allclose(losses.end_point_error(flow, target), [5, 0])
    gradient = jax.grad(lambda x: losses.end_point_error(x, target).sum())(flow)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_metrics_by_hand():
    """Errors of 0.5, 2, 4 and 60 pixels, the last where flow is not known."""
    target = np.zeros((1, 1, 4, 2), np.float32)
    target[0, 0, :, 0] = [5, 20, 100, 0]
    error = np.array([0.5, 2, 4, 60], np.float32)
    batch = {
        "flow": target,
        "valid": np.array([[[True, True, True, False]]]),
        "damaged": np.array([[[False, False, False, True]]]),
        "occluded": np.array([[[False, True, False, False]]]),
        "mask": np.ones(1, np.float32),
    }
    flow = target + np.stack([np.zeros(4), error], -1)
    assert result(flow, batch) == pytest.approx(
        {
            "loss": 6.5 / 3,
            "epe": 6.5 / 3,
            "outliers_1px": 2 / 3,
            "outliers_3px": 1 / 3,
            "outliers_5px": 0,
            "fl_all": 0,  # 4 pixels are fewer than 5% of 100
            "epe_s0_10": 0.5,
            "epe_s10_40": 2,
            "epe_s40+": 4,
            "epe_matched": 2.25,
            "epe_unmatched": 2,
            "damaged": 1 / 4,
        }
    )


def test_padded_pairs_count_nowhere():
    rng = np.random.default_rng(0)
    pair = {
        "flow": rng.normal(size=(2, 3, 4, 2)).astype(np.float32),
        "valid": np.ones((2, 3, 4), bool),
        "damaged": np.zeros((2, 3, 4), bool),
    }
    flow = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
    padded = result(flow, pair | {"mask": np.array([1.0, 0.0])})
    alone = {name: x[:1] for name, x in pair.items()}
    assert padded == pytest.approx(result(flow[:1], alone | {"mask": np.ones(1)}))


def test_the_best_checkpoint_has_the_smallest_error():
    numbers = {"a/epe": 2.0, "b/epe": 4.0, "a/loss": 9.0}
    assert outputs.Score(("a", "b"))(numbers) == -3.0


def test_a_set_with_no_known_flow_is_named():
    with pytest.raises(ValueError, match="No pixel of 'b' has a known flow"):
        outputs.Score(("a", "b"))({"a/epe": 1.0, "b/damaged": 1.0})


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (6, outputs.SHOWN)])
def test_pictures_show_the_first_pairs_in_rows(count, rows):
    rng = np.random.default_rng(0)
    batch = {
        "frames": rng.uniform(-1, 1, (count, 2, 20, 28, 3)),
        "flow": rng.normal(size=(count, 20, 28, 2)),
        "valid": np.ones((count, 20, 28), bool),
    }
    picture = outputs.draw(np.zeros((count, 20, 28, 2)), batch)["flow"]
    scale = 9  # of 20 pixels, to 180
    assert picture.shape == (rows * (20 * scale + 24), 5 * (28 * scale + 2), 3)
    assert picture.dtype == np.uint8 and picture.std() > 30


def test_no_pairs_make_no_picture():
    batch = {name: np.zeros((0, 4, 4, 2)) for name in ("frames", "flow", "valid")}
    assert outputs.draw(np.zeros((0, 4, 4, 2)), batch) == {}
