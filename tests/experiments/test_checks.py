"""What the fields of a config may be."""

import math

import pytest
from ml_collections import config_dict

from configs import base, imagenet
from experiments import checks
from experiments.checks import Each, Number, OneOf, Rising
from perceiver_jax.engine.checkpoints import description

SHARE = Number(0, 1)


@pytest.mark.parametrize(
    ("allowed", "good", "bad", "problem"),
    [
        (Number(), [0, -1.5, True], ["1", None, (1,), math.nan], "a finite number"),
        (Number(1), [1, 7.5], [0, -4, "1", None], "at least 1"),
        (Number(1), [], [math.inf, math.nan], "finite and at least 1"),
        (Number(0, open_low=True), [1e-9], [0, -1], "more than 0"),
        (Number(high=5, open_high=True), [4.9, -9], [5], "less than 5"),
        (Number(0, 1), [0, 0.5, 1], [-0.1, 1.1], "at least 0 and at most 1"),
        (
            Number(0, 1, open_high=True),
            [0, 0.999],
            [1, 5],
            "at least 0 and less than 1",
        ),
        (
            Number(0.5, 2, open_low=True, open_high=True),
            [1],
            [0.5, 2],
            "more than 0.5 and less than 2",
        ),
        (OneOf(("jit", "pmap")), ["jit"], ["gmap", "", 1], "one of jit, pmap"),
        (Each(SHARE), [(), (0.5,), [0, 1]], [0.5, "0.5", None], "a tuple of values"),
        (
            Each(SHARE),
            [],
            [(0.5, 2)],
            "a tuple of values, each at least 0 and at most 1",
        ),
        (
            Each(Number(1), 2, (64, 64)),
            [(8, 9), [1, 1]],
            [8, (8,), (8, 8, 8), ()],
            "a tuple of 2 values, such as (64, 64)",
        ),
        (
            Each(Number(1), 2, (64, 64)),
            [],
            [(8, 0), ("a", "b")],
            "a tuple of 2 values, each at least 1, such as (64, 64)",
        ),
        (
            Rising(SHARE),
            [(0.1, 1), (1, 1)],
            [(1, 0.1)],
            "a low end, then a high one",
        ),
        (Rising(SHARE), [], [(0.1,), 0.5], "a tuple of 2 values"),
        (
            Rising(SHARE),
            [],
            [(2, 0.1), (0.1, 5)],
            "a tuple of 2 values, each at least 0 and at most 1",
        ),
    ],
)
def test_ranges(allowed, good, bad, problem):
    for value in good:
        assert allowed.problem(value) == "", value
    for value in bad:
        assert allowed.problem(value) == problem, value


def test_every_wrong_field_is_named_with_its_value():
    config = config_dict.ConfigDict({"a": 1, "b": {"c": -1, "d": {"e": "x"}}, "f": -2})
    ranges = {
        "a": checks.COUNT,
        "b.c": checks.COUNT,
        "b.d.e": OneOf(("y", "z")),
        "f": checks.SIZE,
        "not_there": checks.COUNT,  # a task may have no such part
    }
    with pytest.raises(ValueError) as error:
        checks.check(config, ranges)
    assert str(error.value).splitlines() == [
        "b.c=-1 must be at least 1.",
        "b.d.e='x' must be one of y, z.",
        "f=-2 must be at least 0.",
    ]


def test_ranges_are_of_fields_that_configs_have():
    fields = {*description.flatten(base.get_config().to_dict())}
    fields |= {f"model.{name}" for name in base.get_model()}
    assert checks.RANGES.keys() <= fields
    checks.check(imagenet.get_config(), checks.RANGES)


def test_unknown_word_lists_the_known_ones():
    checks.check_known("model.kind", "b", ["a", "b"])
    with pytest.raises(ValueError, match="model.kind='c' is unknown: use a, b"):
        checks.check_known("model.kind", "c", ["a", "b"])
