"""What is taken from another run, what is not, and how that is told."""

import jax
import numpy as np
import pytest

from perceiver_jax.engine.checkpoints.init_from import Donor


def tree(value, **shapes):
    """{"module": {"name": array}} of "module_name" and shapes, all of one value."""
    found = {}
    for place, shape in shapes.items():
        module, name = place.split("_")
        found.setdefault(module, {})[name] = np.full(shape, value, np.float32)
    return found


def donor(params, skip=()):
    return Donor("the other run", {"params": params, "model_state": {}}, skip)


def test_arrays_are_taken_skipped_left_and_passed_over(caplog):
    params = tree(1, a_w=(2, 3), a_b=(3,), c_w=(5,), d_w=(5,))
    fresh = tree(0, a_w=(2, 3), a_b=(3,), b_w=(4,))
    with caplog.at_level("INFO", logger="perceiver_jax"):
        found = donor(params, ["*/b", "d/*"]).load_into(params=fresh)["params"]
    jax.tree.map(
        np.testing.assert_array_equal,
        found,
        {"a": {**params["a"], "b": fresh["a"]["b"]}, "b": fresh["b"]},
    )
    for told in (
        "1 params loaded",
        "1 params skipped: a/b",
        "1 params left at initialisation, as not in the source: b/w",
        "1 params not used, as only in the source: c/w",
    ):
        assert told in caplog.text


def test_another_shape_is_named_with_the_fix():
    here = donor(tree(1, hidden_w=(3, 3), output_b=(1,)))
    message = r"(?s)from the other run.*init_skip.*hidden/w: \(3, 3\) there, \(3, 5\)"
    with pytest.raises(ValueError, match=message):
        here.load_into(params=tree(0, hidden_w=(3, 5), output_b=(1,)))


@pytest.mark.parametrize("skip", [(), ("a/*",)])
def test_a_donor_that_gives_nothing_is_refused(skip):
    fresh = tree(0, a_w=(2,)) if skip else tree(0, b_w=(2,))
    with pytest.raises(ValueError, match="none of this model's params"):
        donor(tree(1, a_w=(2,)), skip).load_into(params=fresh)


def test_a_model_without_state_takes_none():
    assert donor(tree(1, a_w=(2,))).load_into(model_state={}) == {"model_state": {}}
