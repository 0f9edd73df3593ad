"""The inputs of the comparison; the rest of it needs PyTorch, which tests don't."""

import importlib
import sys
import types

import jax
import numpy as np
import pytest


@pytest.fixture
def program(monkeypatch):
    """The module, with stand-ins for the libraries that are not installed."""
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    yield importlib.import_module("scripts.compare_huggingface")
    sys.modules.pop("scripts.compare_huggingface")


def test_two_random_examples_of_any_kind(program):
    shapes = {
        "images": jax.ShapeDtypeStruct((2, 4, 5, 3), np.float32),
        "tokens": jax.ShapeDtypeStruct((2, 20), np.int32),
        "token_mask": jax.ShapeDtypeStruct((2, 20), bool),
    }
    batch = program.make_batch(shapes, 262)
    assert batch["images"].shape == (2, 4, 5, 3)
    assert batch["images"].dtype == np.float32 and batch["images"].std() > 0.5
    assert batch["tokens"].min() >= 0 and 100 < batch["tokens"].max() < 262
    np.testing.assert_array_equal(batch["token_mask"].sum(1), [20, 12])
