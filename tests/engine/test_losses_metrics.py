"""Losses by their formulas, and metrics as global sums."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.imagenet import task as imagenet
from perceiver_jax.engine import losses, metrics


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one_hot(labels, num_classes):
    return np.eye(num_classes, dtype=np.float32)[labels]


def log_softmax(logits):
    logits = np.float64(logits)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_softmax_cross_entropy_is_minus_the_log_of_the_labelled_probability():
    logits, labels = 3 * normal(4, 7), np.array([6, 0, 3, 3])
    expected = -log_softmax(logits)[np.arange(4), labels]
    computed = losses.softmax_cross_entropy(logits, one_hot(labels, 7))
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_smoothing_spreads_a_share_over_all_classes():
    logits, labels = normal(4, 5), np.array([4, 0, 3, 3])
    target = np.full((4, 5), 0.1 / 5)
    target[np.arange(4), labels] += 0.9
    expected = -(target * log_softmax(logits)).sum(-1)
    computed = losses.softmax_cross_entropy(logits, one_hot(labels, 5), 0.1)
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_loss_of_a_mixed_label_is_the_mix_of_the_losses():
    logits = normal(4, 5)
    first, second = one_hot([0, 1, 2, 3], 5), one_hot([4, 4, 3, 2], 5)
    loss = functools.partial(losses.softmax_cross_entropy, logits)
    mixed = loss(0.3 * first + 0.7 * second)
    expected = 0.3 * loss(first) + 0.7 * loss(second)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


def test_sigmoid_cross_entropy_is_summed_over_independent_classes():
    logits = 3 * normal(2, 3, 5)
    labels = np.random.default_rng(1).integers(0, 2, (2, 3, 5))
    p = 1 / (1 + np.exp(-np.float64(logits)))
    expected = -np.where(labels, np.log(p), np.log(1 - p)).sum(-1)
    computed = losses.sigmoid_cross_entropy(logits, labels)
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "loss", [losses.softmax_cross_entropy, losses.sigmoid_cross_entropy]
)
def test_losses_are_float32_and_finite_whatever_the_logits(loss):
    logits = jnp.asarray([[300.0, -300.0, 0.5]], jnp.bfloat16)
    labels = jnp.asarray([[0, 1, 0]], jnp.bfloat16)
    value = loss(logits, labels)
    assert value.dtype == jnp.float32
    # One class costs 600 against the other, or 300 with each of the two sigmoids.
    np.testing.assert_allclose(value, 600, rtol=0.01)


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
    logits, labels = normal(5, 7), one_hot([0, 1, 2, 3, 4], 7)
    compute = jax.jit(imagenet.make_metrics("softmax", 0.1))
    batch = {"labels": labels, "mask": np.ones(5, np.float32)}
    expected = metrics.sums(compute(logits, batch))

    garbage = np.float32([[np.nan] * 7, [np.inf] * 7, [-np.inf] * 7])
    padded = {
        "labels": np.concatenate([labels, np.zeros((3, 7), np.float32)]),
        "mask": np.float32([1] * 5 + [0] * 3),
    }
    sums = metrics.sums(compute(np.concatenate([logits, garbage]), padded))
    assert set(sums) == {"loss", "top1", "top5"}
    for name, pair in sums.items():
        np.testing.assert_allclose(pair, expected[name], rtol=1e-6)


def test_padding_takes_no_part_in_the_gradient():
    logits, labels = normal(4, 7), one_hot([0, 1, 2, 3], 7)

    def loss(logits, mask):
        values = losses.softmax_cross_entropy(logits, labels)
        return metrics.sums({"loss": (values, mask)})["loss"][0]

    gradient = jax.grad(loss)(logits, jnp.asarray([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(gradient[2:], 0)
    softmax = np.exp(log_softmax(logits))
    np.testing.assert_allclose(gradient[:2], (softmax - labels)[:2], atol=1e-6)


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
