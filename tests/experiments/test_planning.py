"""A training step that is compiled for a TPU, without one and without data."""

import re

import jax
import numpy as np
import pytest
import small_digits
from jax.sharding import NamedSharding, PartitionSpec

from experiments import build, planning
from perceiver_jax.engine.costs import compile_ahead


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


@pytest.mark.usefixtures("tpu_flags")
def test_what_does_not_fit_says_what_it_takes():
    whole = NamedSharding(compile_ahead.tpu_mesh("v5e:1x1"), PartitionSpec())
    large = jax.ShapeDtypeStruct((50_000, 50_000), np.float32, sharding=whole)
    with pytest.raises(RuntimeError) as error:
        jax.jit(lambda x, y: x + y).lower(large, large).compile()
    # 10 GB each, three of them, of a v5e's 16 less what it keeps.
    assert re.fullmatch(r"no: 2[78]\.\d+G of 15\.\d+G", planning.why_not(error.value))


def test_other_reasons_are_told_in_a_line():
    error = ValueError("a | b\n is " + "long " * 100)
    told = planning.why_not(error)
    assert told.startswith("not compiled: a / b is long long") and len(told) < 320
