"""The points of a sweep, and the names of their folders.

A point is {field: value}, such as {"optimizer.learning_rate": "1e-3", "seed": "3"},
whose values are written as on the command line until the config has parsed them.
"""

import hashlib
import itertools
import re
import runpy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST_NAME = 120  # characters; file systems allow 255 bytes
BASE = "base"  # the name of a point that changes nothing

# A tuple, a quoted text, or anything else without a comma.
_VALUE = re.compile(r"""(?:\([^()]*\)|\[[^\[\]]*\]|"[^"]*"|'[^']*'|[^,])+""")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


def parse_grid(text: str) -> dict[str, list[str]]:
    """Returns {field: values} of one --grid.

    Args:
      text: FIELD=VALUE,VALUE,...; a value may be a range of integers, 0..4, whose ends
        are included, a tuple, (8,8), or in quotes if it has a comma.

    Raises:
      ValueError: it is not of that form.
    """
    field, equals, values = text.partition("=")
    found: list[str] = []
    for value in _VALUE.findall(values):
        value = value.strip()
        ends = _RANGE.fullmatch(value)
        if ends:
            low, high = map(int, ends.groups())
            found += map(str, range(low, high + 1))
            if low > high:
                raise ValueError(f"--grid {text}: the range {value} is empty.")
        else:
            found.append(re.sub(r"""^(["'])(.*)\1$""", r"\2", value))
    if not (field and equals and all(found) and found):
        raise ValueError(
            f"--grid {text}: write FIELD=VALUE,VALUE, such as seed=0..4 or "
            "optimizer.learning_rate=1e-3,5e-4."
        )
    return {field: found}


def read_sweep(config_file: str) -> list[dict[str, str]]:
    """Returns the points of a config file's own sweep(), FILE or FILE:VARIANT.

    Raises:
      ValueError: the file has none.
    """
    path = config_file.partition(":")[0]
    module = runpy.run_path(path)
    if "sweep" not in module:
        raise ValueError(f"{path} has no sweep(): use --grid instead of --sweep.")
    return [
        {field: str(value) for field, value in point.items()}
        for point in module["sweep"]()
    ]


def multiply(
    points: Sequence[Mapping[str, str]], grids: Iterable[Mapping[str, Sequence[str]]]
) -> list[dict[str, str]]:
    """Returns each point with each combination of the grids' values.

    Raises:
      ValueError: two of them give the same field.
    """
    result = [dict(point) for point in points] or [{}]
    for grid in grids:
        taken = grid.keys() & {field for point in result for field in point}
        if taken:
            raise ValueError(f"{', '.join(sorted(taken))} is swept twice.")
        chosen = itertools.product(*grid.values())
        values = [dict(zip(grid, combination)) for combination in chosen]
        result = [point | more for point in result for more in values]
    return result


def names(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns a name for each point, safe as that of a folder: "dropout=0.1,seed=3".

    Fields go by the last part of their names where that is enough. The order in which
    they were given changes nothing, so the same point always has the same name.

    Args:
      points: with the values that the config has parsed: 1e-3 and 0.001 are one.

    Raises:
      ValueError: two points are the same.
    """
    fields = {field for point in points for field in point}
    ends = Counter(field.rpartition(".")[2] for field in fields)
    short = {
        field: end if ends[end := field.rpartition(".")[2]] == 1 else field
        for field in fields
    }
    plain = [
        ",".join(f"{short[f]}={spell(value)}" for f, value in sorted(point.items()))
        for point in points
    ]
    counts = Counter(plain)
    found = [
        name if counts[name] == 1 and len(name) <= LONGEST_NAME else _cut(name, point)
        for name, point in zip(plain, points)
    ]
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise ValueError(f"The same run is given twice: {', '.join(twice)}.")
    return [name or BASE for name in found]


def spell(value: Any) -> str:
    """A value in letters, digits and few signs: (8, 8) is 8x8."""
    if isinstance(value, list | tuple):
        return "x".join(map(spell, value)) or "none"
    return re.sub(r"[^\w.+-]+", "-", str(value)) or "none"


def _cut(name: str, point: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(repr(sorted(point.items())).encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}-{digest}"
