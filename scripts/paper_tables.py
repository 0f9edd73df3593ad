"""The sizes of our models beside those that the papers print.

    python -m scripts.paper_tables

A task has a table where its folder has a paper_table.py. A multiply and an add are two
FLOPs, as in the papers; the count is of all matrix products in the forward pass of one
example.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Sequence

import experiments
from experiments import program


def tables() -> Iterator[str]:
    """Yields the table of each task that has one, in the order of their names."""
    for found in pkgutil.iter_modules(experiments.__path__):
        name = f"experiments.{found.name}.paper_table"
        if found.ispkg and importlib.util.find_spec(name) is not None:
            table = importlib.import_module(name)
            configs = importlib.import_module(f"configs.{found.name}")
            yield "\n".join(table.lines(configs))


def main(_: Sequence[str]) -> None:
    print("\n\n".join(tables()))


if __name__ == "__main__":
    program.run(main)
