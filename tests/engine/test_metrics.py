"""Metrics as global sums, whatever the batches."""

import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_jax.engine import metrics


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one_hot(labels, num_classes):
    return np.eye(num_classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_counts_labels_among_the_k_largest(k):
    logits, labels = normal(200, 10), np.random.default_rng(1).integers(0, 10, 200)
    expected = [label in np.argsort(-row)[:k] for row, label in zip(logits, labels)]
    computed = metrics.top_k(logits, one_hot(labels, 10), k)
    np.testing.assert_array_equal(computed, np.float32(expected))


def test_ties_count_against_the_model():
    logits, labels = np.float32([[1, 1, 0, 0], [2, 0, 0, 0]]), one_hot([0, 1], 4)
    for k, expected in ((1, [0, 0]), (2, [1, 0]), (3, [1, 0]), (4, [1, 1])):
        np.testing.assert_array_equal(metrics.top_k(logits, labels, k), expected)
    equal = np.zeros((1, 10), np.float32)
    np.testing.assert_array_equal(metrics.top_k(equal, one_hot([0], 10), 5), 0)


def test_logits_that_are_not_numbers_are_no_correct_answer():
    logits = np.float32([[np.nan] * 4, [0, np.nan, 1, 2], [3, np.nan, 1, 2]])
    labels = one_hot([0, 1, 0], 4)
    np.testing.assert_array_equal(metrics.top_k(logits, labels, 1), [0, 0, 0])


def test_sums_weigh_values():
    values, weights = normal(3, 4), np.abs(normal(3, 4, seed=1))
    reduced = metrics.sums({"error": (values, weights)})
    np.testing.assert_allclose(
        reduced["error"], [(values * weights).sum(), weights.sum()], rtol=1e-5
    )
    low = jnp.ones(4096, jnp.bfloat16)  # bfloat16 can't count beyond 256
    (value, weight) = metrics.sums({"loss": (low, low)})["loss"]
    assert value == weight == 4096


def test_padded_rows_of_any_content_change_nothing():
    values, mask = normal(5), np.ones(5, np.float32)
    expected = metrics.sums({"loss": (values, mask)})
    garbage = np.float32([np.nan, np.inf, -np.inf])
    padded = jnp.concatenate([values, garbage]), jnp.array([1.0] * 5 + [0] * 3)
    found = metrics.sums({"loss": padded})
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)


def test_values_and_weights_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"'top1' .* \(3, 1\) but weights .* \(3,\)"):
        metrics.sums({"top1": (np.ones((3, 1)), np.ones(3))})


def test_mean_over_unequal_batches_is_the_global_mean():
    values, weights = normal(10), np.float32([1, 1, 1, 0, 2, 1, 1, 0.5, 0, 1])
    mean = metrics.Mean()
    for rows in (slice(0, 7), slice(7, 9), slice(9, 10)):
        mean.add(metrics.sums({"loss": (values[rows], weights[rows])}))
    expected = np.average(np.float64(values), weights=weights)
    np.testing.assert_allclose(mean.result()["loss"], expected, rtol=1e-6)

    carried_on = metrics.Mean(mean.totals)
    carried_on.add({"loss": np.array([1.0, 3.0])})
    total = expected * weights.sum() + 1.0
    np.testing.assert_allclose(
        carried_on.result()["loss"], total / (weights.sum() + 3), rtol=1e-6
    )
    np.testing.assert_allclose(mean.result()["loss"], expected, rtol=1e-6)


def test_mean_adds_in_float64():
    mean = metrics.Mean()
    for _ in range(10):
        mean.add({"loss": np.float32([2**24, 2**24])})
        mean.add({"loss": np.float32([1, 1])})
    assert mean.totals["loss"] == [10 * (2**24 + 1)] * 2


def test_metric_without_any_weight_is_left_out():
    mean = metrics.Mean()
    mean.add({"flow": np.float32([0, 0]), "loss": np.float32([1, 2])})
    assert mean.result() == {"loss": 0.5}
