"""A training step that is compiled for a TPU, without one and without data."""

import pytest
import small_digits

from experiments import build, planning
from perceiver_jax.engine import compile_ahead


@pytest.mark.usefixtures("tpu_flags")
def test_step_compiles_for_a_tpu_without_one(monkeypatch):
    config = small_digits.get_config(data__source="tfds", data__dir="/none")
    step = planning.compile_step(config, "v5e:2x2")
    assert (step.devices, step.batch_size) == (4, 16)
    size = build.model_size(config)
    assert 2.3 < step.flops / 16 / size.flops < 4.2
    # Each chip sums all gradients, and the metrics, with the others: once.
    (kind, traffic), *others = compile_ahead.collectives(step.executable).items()
    assert (kind, traffic.times, others) == ("all-reduce", 1, [])
    assert traffic.bytes == pytest.approx(4 * size.parameters, rel=0.01)

    monkeypatch.setattr(planning, "compile_step", lambda *_: step)
    told = planning.compile_for(config, "v5e:2x2")
    assert "v5e:2x2: 4 chips, 16 examples a step, 4 a chip" in told
    for word in ("GFLOP", "accessed", "temporaries", "1 all-reduce", "compile time"):
        assert word in told


def test_a_batch_that_chips_can_not_share_is_refused():
    with pytest.raises(ValueError, match="batch_size=18 is not divisible by 4 devices"):
        planning.compile_for(small_digits.get_config(batch_size=18), "v5e:2x2")
