"""The sizes of our models beside those that the papers print.

    python -m scripts.paper_tables

A task has a table where its folder has a paper_table.py. A multiply and an add are two
FLOPs, as in the papers; the count is of all matrix products in the forward pass of one
example.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence

from experiments import build, program


def tables() -> Iterator[str]:
    """Yields the table of each task that has one, in the order of their names."""
    for task in build.tasks():
        name = f"experiments.{task}.paper_table"
        if importlib.util.find_spec(name) is not None:
            table = importlib.import_module(name)
            configs = importlib.import_module(f"configs.{task}")
            yield "\n".join(table.lines(configs))


def main(_: Sequence[str]) -> None:
    print("\n\n".join(tables()))


if __name__ == "__main__":
    program.run(main)
