"""The contract's own few lines."""

import jax
import numpy as np

from perceiver_jax.engine.task import Identity, Model


def test_shapes_of_a_batch_are_those_of_its_examples_and_a_mask():
    example = {
        "images": jax.ShapeDtypeStruct((8, 8, 3), np.float32),
        "text": {"tokens": jax.ShapeDtypeStruct((5,), np.int32)},
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    model = Model(lambda *_: None, example, lambda *_: {})
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), model.batch(4))
    assert shapes == {
        "images": ((4, 8, 8, 3), np.float32),
        "text": {"tokens": ((4, 5), np.int32)},
        "label": ((4,), np.int32),
        "mask": ((4,), np.float32),
    }


def test_a_mask_of_the_example_is_kept():
    example = {"mask": jax.ShapeDtypeStruct((7,), np.bool_)}
    model = Model(lambda *_: None, example, lambda *_: {})
    assert model.batch(2)["mask"].shape == (2, 7)


def test_identities_share_no_class_names():
    assert Identity().class_names == {} and not Identity().vocabulary
    assert Identity().class_names is not Identity().class_names
