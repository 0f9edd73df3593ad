"""Losses by their formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_padding_takes_no_part_in_the_gradient():
    logits, labels = normal(4, 7), one_hot([0, 1, 2, 3], 7)

    def loss(logits, mask):
        values = losses.softmax_cross_entropy(logits, labels)
        return metrics.sums({"loss": (values, mask)})["loss"][0]

    gradient = jax.grad(loss)(logits, jnp.asarray([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(gradient[2:], 0)
    softmax = np.exp(log_softmax(logits))
    np.testing.assert_allclose(gradient[:2], (softmax - labels)[:2], atol=1e-6)
