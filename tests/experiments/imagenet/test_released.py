"""The image classifiers: layouts that the small oracles do not have."""

import numpy as np
import oracles
import pytest

from configs import imagenet
from experiments.imagenet import class_names, task
from experiments.imagenet import released as rows
from perceiver_jax.pretrained import huggingface, rules
from scripts import convert_pretrained

MODELS = {model.name: model for model in rows.MODELS}


@pytest.mark.parametrize("variant", ["learned", "conv"])
def test_images_of_huggingface_go_there_and_back(variant):
    config = imagenet.get_config(variant)
    table = MODELS[f"imagenet_{variant}"].huggingface.rules
    shapes = convert_pretrained.expected_shapes(config)
    rng = np.random.default_rng(0)
    ours = {
        path: rng.normal(size=[min(n, 8) for n in shape]).astype(np.float32)
        for shape_of in shapes.values()
        for path, shape in shape_of.items()
    }
    for path in ours:
        if path.endswith("counter"):
            ours[path] = np.asarray(1000, np.int32)  # the average is settled
    for path in ours:
        if path.endswith("hidden"):
            ours[path] = ours[path.replace("hidden", "average")]
    theirs = huggingface.to_arrays(ours, table)
    oracles.assert_same(huggingface.from_arrays(theirs, table), ours)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("image_preprocessor/~/conv2_d/w", rows.DEEPMIND),
        ("perceiver.input_preprocessor.convnet_1x1.weight", rows.HUGGINGFACE),
    ],
)
def test_kernel_that_is_no_linear_map_is_refused(path, table):
    with pytest.raises(ValueError, match=r"shape \(3, 3, 3, 8\) is no 1x1"):
        rules.to_ours({path: np.zeros((3, 3, 3, 8))}, table)


def test_all_are_of_the_thousand_classes():
    for model in rows.MODELS:
        assert model.classes.output == task.CLASSES
        assert model.classes.names == class_names.imagenet_names()


def test_images_are_channels_first_there():
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    arguments = MODELS["imagenet_conv"].comparison.arguments({"images": images})
    np.testing.assert_array_equal(arguments["inputs"][1, 2], images[1, :, :, 2])
