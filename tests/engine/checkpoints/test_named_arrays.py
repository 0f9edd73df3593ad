"""Names of the arrays of a tree, and how two trees differ."""

from typing import NamedTuple

import numpy as np
import pytest

from perceiver_jax.engine.checkpoints import named_arrays


class Moments(NamedTuple):
    mu: dict


def test_names_are_the_way_to_an_array():
    tree = {"params": {"a/b": {"w": np.zeros((2, 3), np.float32)}}}
    optimizer = (Moments({"w": np.zeros(2, np.int32)}), ())
    assert named_arrays.shapes_of({**tree, "optimizer": optimizer}) == {
        "params/a/b/w": ((2, 3), "float32"),
        "optimizer/0/mu/w": ((2,), "int32"),
    }


def test_the_same_arrays_pass():
    shapes = {"a": ((2,), "float32")}
    named_arrays.check_same_arrays(shapes, dict(shapes), "here")


def test_differences_are_named():
    saved = {"a": ((2,), "float32"), "b": ((3,), "float32")}
    wanted = {"a": ((4,), "float32"), "c": ((3,), "float32")}
    with pytest.raises(ValueError, match="one in there in 3 arrays") as error:
        named_arrays.check_same_arrays(saved, wanted, "there")
    told = str(error.value)
    assert "a: ((2,), 'float32') in the checkpoint, ((4,), 'float32') here" in told
    assert "b: only in the checkpoint" in told and "c: only in this model" in told
