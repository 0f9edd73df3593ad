"""Numbers and pictures of an image classifier's logits."""

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.imagenet import outputs
from perceiver_jax.engine import metrics


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def one_hot(labels, num_classes):
    return np.eye(num_classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_padded_rows_of_any_content_change_nothing(loss):
    logits, labels = normal(5, 7), one_hot([0, 1, 2, 3, 4], 7)
    compute = jax.jit(outputs.Metrics(loss, 0.1))
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


def test_loss_is_the_one_that_was_asked_for():
    logits, labels = normal(4, 6), one_hot([5, 0, 1, 1], 6)
    batch = {"labels": labels, "mask": np.ones(4, np.float32)}
    found = {
        name: outputs.Metrics(*name)(logits, batch)["loss"][0]
        for name in (("softmax", 0.0), ("softmax", 0.3), ("sigmoid", 0.0))
    }
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    smooth = 0.7 * labels + 0.3 / 6
    sigmoid = 1 / (1 + np.exp(-logits))
    expected = (
        -(labels * np.log(shares)).sum(-1),
        -(smooth * np.log(shares)).sum(-1),
        -(labels * np.log(sigmoid) + (1 - labels) * np.log(1 - sigmoid)).sum(-1),
    )
    for one, other in zip(found.values(), expected):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_predictions_are_the_likeliest_class_and_the_labelled_one():
    found = outputs.predictions(
        np.float32([[0, 2, 1], [3, 0, 0]]), {"labels": one_hot([1, 2], 3)}
    )
    assert found["predicted"].tolist() == [1, 0] and found["label"].tolist() == [1, 2]


def test_picture_of_predictions_marks_the_wrong_ones():
    images = np.zeros((3, 8, 8, 3), np.float32)
    batch = {"images": images, "labels": np.eye(3, dtype=np.float32)}
    sheet = outputs.pictures(np.eye(3)[[0, 1, 1]], batch)["predictions"]
    assert sheet.dtype == np.uint8 and Image.fromarray(sheet).size == (4 * 72, 72)
    red = (sheet == [220, 40, 40]).all(-1).any(0)
    assert not red[: 2 * 72].any() and red[2 * 72 : 3 * 72].any()
