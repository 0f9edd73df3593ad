"""The keeper saves what is whole."""

import numpy as np
import pytest
import regression

from perceiver_jax.engine import keeper, window
from perceiver_jax.engine.checkpoints import checkpoint


def test_state_that_is_not_finite_is_not_saved(tmp_path, monkeypatch):
    save = keeper.Keeper.save

    def save_late(self, step, state):
        if step == 4:
            sums = {"loss": np.float32([np.nan, 1]), "grad_norm": np.float32([1, 1])}
            self.window.add(step, sums)
        save(self, step, state)

    monkeypatch.setattr(keeper.Keeper, "save", save_late)
    with pytest.raises(window.NonFiniteError, match="step 4"):
        regression.train(regression.make_task(), tmp_path)
    assert checkpoint.Checkpoints(tmp_path, read_only=True).steps() == [2, 3]


def test_every_batch_of_an_evaluation_is_a_sign_of_progress(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        keeper.Life, "progress", lambda self: seen.append(self.clock.current)
    )
    task = regression.make_task()
    regression.train(task, tmp_path)
    batches = sum(1 for _ in task.evaluations["test"].batches())
    assert seen == ["evaluation"] * batches * 2  # at steps 3 and 6
