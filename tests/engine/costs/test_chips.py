"""How long a step takes on a chip."""

import pytest

from perceiver_jax.engine.costs import chips


def test_a_step_takes_as_long_as_the_slower_of_two_counts():
    chip = chips.Chip(memory=1, flops=100.0, bandwidth=10.0)
    assert chip.step_time(400.0, 50.0, 0.4) == (10.0, "compute")
    assert chip.step_time(400.0, 200.0, 0.4) == (20.0, "memory")
    assert chip.step_time(400.0, 50.0, 0.8) == (5.0, "compute")


def test_devices_of_a_chip_share_it():
    chip = chips.Chip(memory=1, flops=100.0, bandwidth=10.0, devices=2)
    assert chip.step_time(400.0, 50.0, 1.0).seconds == 10.0  # 50 bytes at half of 10
    assert chip.step_time(800.0, 50.0, 1.0).seconds == 16.0


def test_a_chip_is_found_by_its_topology():
    assert chips.find("v5e:8x8").memory == 16 * 2**30
    assert chips.find("v5p:4x4x4").flops > chips.find("v4:4x4x4").flops
    with pytest.raises(ValueError, match="'v9:2x2': no chip 'v9' .* v4, v5e"):
        chips.find("v9:2x2")
