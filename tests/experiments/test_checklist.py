"""The checklist says what is about to be trained, with sizes that numpy agrees to."""

import jax
import numpy as np
import small_digits

from experiments import build, checklist
from perceiver_jax.engine import sharding


def test_checklist_tells_what_there_is(tmp_path):
    config = small_digits.get_config(accumulate=2)
    task = build.make_task(config)
    update = build.make_update(config, task.model, 4)
    settings = build.make_settings(config, task.train.num_examples)
    parallel = sharding.make_parallel("jit")
    told = checklist.checklist(task, update, parallel, settings, tmp_path)
    for part in (
        "processes 1, with 8 devices in all",
        "batch     16, 2 parts in turn",
        "1,437 examples to train on; evaluated on test",
        f"{tmp_path}, can be written",
        f"jax {jax.__version__}",
    ):
        assert part in told
    state = update.init(task.model.batch(1))
    sizes = [np.asarray(x).nbytes for x in jax.tree.leaves(state)]
    gradients = [np.asarray(x).nbytes for x in jax.tree.leaves(state.params)]
    megabytes = (sum(sizes) + sum(gradients)) / 1e6
    assert f"a device holds {megabytes:,.4g} MB of parameters" in told
