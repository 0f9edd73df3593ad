"""Tables of names, read in both directions."""

import numpy as np
import pytest

from perceiver_jax.pretrained import rules
from perceiver_jax.pretrained.rules import Rule

TABLE = [
    Rule("layers/w", "there/linear{_layer}/w", rules.TRANSPOSED),
    Rule("one/b", "there/b"),
]
THEIRS = {
    "there/linear/w": np.arange(6).reshape(2, 3),
    "there/linear_1/w": np.arange(6, 12).reshape(2, 3),
    "there/b": np.ones(4),
}


def test_layers_are_stacked_and_laid_out_anew_and_back():
    ours = rules.to_ours(THEIRS, TABLE)
    assert ours.keys() == {"layers/w", "one/b"}
    np.testing.assert_array_equal(ours["layers/w"][1], [[6, 9], [7, 10], [8, 11]])
    back = rules.to_theirs(ours, TABLE)
    assert back.keys() == THEIRS.keys()
    for path, array in back.items():
        np.testing.assert_array_equal(array, THEIRS[path])


def test_layers_may_count_from_zero():
    rule = Rule("layers/b", "there.{layer}.b")
    assert [rule.their_path(layer) for layer in (0, 1)] == ["there.0.b", "there.1.b"]
    assert rule.stacked and not Rule("b", "b").stacked


def test_arrays_that_no_rule_names_are_all_named():
    extra = {"other/w": np.zeros(3), "another/b": np.zeros((2, 4))}
    for convert in (rules.to_ours, rules.to_theirs):
        with pytest.raises(ValueError, match=r"(?s)2 arrays.*another/b.*other/w"):
            convert(extra, TABLE)


def test_layers_with_a_gap_are_refused():
    layers = dict(THEIRS) | {"there/linear_3/w": np.zeros((2, 3))}
    with pytest.raises(ValueError, match="there/linear_3/w"):
        rules.to_ours(layers, TABLE)


def test_layers_of_different_shapes_are_refused():
    layers = dict(THEIRS) | {"there/linear_1/w": np.zeros((3, 3))}
    with pytest.raises(ValueError, match="differ in shape"):
        rules.to_ours(layers, TABLE)


@pytest.mark.parametrize(
    ("form", "shape"),
    [(rules.KERNEL_HWIO, (1, 1, 3, 8)), (rules.KERNEL_OIHW, (8, 3, 1, 1))],
)
def test_a_convolution_of_one_cell_is_a_linear_map(form, shape):
    kernel = np.random.default_rng(0).normal(size=shape)
    linear = form.to_ours(kernel)
    assert linear.shape == (3, 8)
    assert linear[2, 5] == (kernel[0, 0, 2, 5] if shape[0] == 1 else kernel[5, 2, 0, 0])
    np.testing.assert_array_equal(form.to_theirs(linear), kernel)
    with pytest.raises(ValueError, match=r"a/w: .*shape \(3, 3, 3, 8\) is no 1x1"):
        rules.to_ours({"a/w": np.zeros((3, 3, 3, 8))}, [Rule("a/w", "a/w", form)])


def test_trees_are_flattened_and_back():
    tree = {"a/b": {"w": np.ones(2), "b": np.zeros(1)}, "c": {"w": np.ones(3)}}
    flat = rules.flatten(tree)
    assert flat.keys() == {"a/b/w", "a/b/b", "c/w"}
    assert rules.shapes(tree) == {"a/b/w": (2,), "a/b/b": (1,), "c/w": (3,)}
    assert {k: set(v) for k, v in rules.unflatten(flat).items()} == {
        k: set(v) for k, v in tree.items()
    }


def test_every_array_of_another_shape_is_named_with_what_to_do():
    found = {"a": np.zeros(2), "b": np.zeros((3, 4)), "extra": np.zeros(5)}
    rules.check_shapes({"a": np.zeros(2)}, {"a": (2,)}, "file")
    with pytest.raises(ValueError, match="(?s)^file holds.*--model.*3 arrays") as error:
        rules.check_shapes(found, {"a": (2,), "b": (4, 3), "lost": (1,)}, "file")
    assert "b: (3, 4) in the file, (4, 3) in the model" in str(error.value)
    assert "lost: missing, of shape (1,)" in str(error.value)
    assert "extra: not in the model, of shape (5,)" in str(error.value)
