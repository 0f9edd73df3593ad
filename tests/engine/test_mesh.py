"""The mesh of devices."""

import types

import jax
import numpy as np
import pytest

from perceiver_jax.engine import mesh


def devices(*counts):
    """Stand-ins for so many devices of each process."""
    return [
        types.SimpleNamespace(process_index=process, id=number)
        for process, count in enumerate(counts)
        for number in range(count)
    ]


def test_neighbours_on_the_second_axis_are_of_one_process():
    shuffled = np.random.default_rng(0).permutation(jax.devices())
    made = mesh.make_mesh(list(shuffled), "model", 4)
    assert made.axis_names == ("data", "model")
    assert made.devices.tolist() == np.reshape(jax.devices(), (2, 4)).tolist()
    assert mesh.make_mesh(list(shuffled)).devices.tolist() == jax.devices()


@pytest.mark.parametrize(
    ("counts", "asked", "length"), [((8,), 0, 8), ((4, 4), 0, 4), ((4, 4), 2, 2)]
)
def test_a_second_axis_is_as_long_as_asked_or_as_a_process_is(counts, asked, length):
    assert mesh.check_second_axis(devices(*counts), asked) == length


@pytest.mark.parametrize(("counts", "asked"), [((4, 4), 8), ((8,), 3), ((4, 6), 4)])
def test_a_second_axis_over_the_border_of_a_process_is_refused(counts, asked):
    message = f"sharding_devices={asked} must divide the {min(counts)} devices"
    with pytest.raises(ValueError, match=message):
        mesh.check_second_axis(devices(*counts), asked)
