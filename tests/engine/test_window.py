"""The window adds what steps measured, and names the step that went wrong."""

import numpy as np
import pytest

from perceiver_jax.engine import window


def test_window_adds_what_was_fetched_and_what_was_not():
    found = window.Window({"loss": [6.0, 2.0]})
    sums = {"loss": np.float32([1, 1]), "grad_norm": np.float32([5, 1])}
    found.add(1, sums)
    assert found.totals == {"loss": [6.0, 2.0]}
    found.check(None)
    assert found.totals["loss"] == [7.0, 3.0]
    found.add(2, sums)
    assert found.close(None) == {"loss": 2.0, "grad_norm": 5.0}
    assert found.totals == {}
    found.add(3, {**sums, "grad_norm": np.float32([np.inf, 1])})
    with pytest.raises(window.NonFiniteError, match="grad_norm is inf at step 3"):
        found.close(2)
