"""Points of a sweep, and the names of their folders."""

import pytest

from scripts.sweeps import grid


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("seed=0..3", "seed", ["0", "1", "2", "3"]),
        ("seed=-1..1,7", "seed", ["-1", "0", "1", "7"]),
        ("a.rate=1e-3,5e-4", "a.rate", ["1e-3", "5e-4"]),
        ("a.size=(8,8),(16,16)", "a.size", ["(8,8)", "(16,16)"]),
        ("a.names=('x','y'),()", "a.names", ["('x','y')", "()"]),
        ('precision="params=a,compute=b",x', "precision", ["params=a,compute=b", "x"]),
    ],
)
def test_values_of_a_grid(text, field, values):
    assert grid.parse_grid(text) == {field: values}


@pytest.mark.parametrize("text", ["seed", "seed=", "=1,2", "seed=4..1", ""])
def test_bad_grid_says_what_one_looks_like(text):
    with pytest.raises(ValueError, match="write FIELD=VALUE|range 4..1 is empty"):
        grid.parse_grid(text)


def test_grids_multiply_with_the_sweep_and_each_other():
    points = grid.multiply([{"a": "1"}, {"a": "2"}], [{"b": ["x", "y"]}, {"c": ["0"]}])
    assert points == [
        {"a": "1", "b": "x", "c": "0"},
        {"a": "1", "b": "y", "c": "0"},
        {"a": "2", "b": "x", "c": "0"},
        {"a": "2", "b": "y", "c": "0"},
    ]
    assert grid.multiply([], [{"b": ["x"]}]) == [{"b": "x"}]
    with pytest.raises(ValueError, match="b is swept twice"):
        grid.multiply([], [{"b": ["x"]}, {"b": ["y"]}])


def test_sweep_of_a_config_file():
    assert grid.read_sweep("configs/digits.py:conv") == [
        {"optimizer.learning_rate": rate} for rate in ("0.001", "0.002", "0.004")
    ]
    with pytest.raises(ValueError, match="base.py has no sweep"):
        grid.read_sweep("configs/base.py")


def test_names_are_short_and_do_not_depend_on_the_order():
    point = {"optimizer.learning_rate": 1e-3, "seed": 3, "model.remat": True}
    turned = dict(reversed(point.items()))
    assert grid.names([point]) == grid.names([turned])
    assert grid.names([point]) == ["remat=True,learning_rate=0.001,seed=3"]
    assert grid.names([{}, {"seed": 1}]) == ["base", "seed=1"]


def test_names_have_whole_fields_where_short_ones_clash():
    points = [{"model.size": 1, "data.size": 2, "a.b": 3}]
    assert grid.names(points) == ["b=3,data.size=2,model.size=1"]


def test_names_are_safe_as_those_of_folders():
    point = {"a": (8, 8), "b": "x/y z", "c": (), "d": "../up", "e": "", "f": -1e-05}
    assert grid.names([point]) == ["a=8x8,b=x-y-z,c=none,d=..-up,e=none,f=-1e-05"]


def test_names_that_would_be_equal_or_long_are_told_apart():
    first, second = grid.names([{"a": "x/y"}, {"a": "x y"}])
    assert first != second and first.startswith("a=x-y-")
    points = [{"a": "x" * 300}, {"a": "x" * 299 + "y"}]
    names = grid.names(points)
    assert len(set(names)) == 2 and max(map(len, names)) == grid.LONGEST_NAME
    with pytest.raises(ValueError, match="given twice: seed=1"):
        grid.names([{"seed": 1}, {"seed": 2}, {"seed": 1}])
