"""What every variant of every config costs, kept in the repository.

    python -m scripts.ledger

counts the parameters and FLOPs of all of them anew, writes them to the ledger, and says
what has changed. Where a test says that a cost is not as declared: if the change is
meant, run this and commit the ledger with it.
"""

import importlib
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
from ml_collections import config_dict

from experiments import build, program
from perceiver_jax.engine import sharding
from perceiver_jax.engine.costs import flops

ROOT = pathlib.Path(__file__).parent.parent
PATH = ROOT / "benchmarks" / "results" / "ledger.json"
TOLERANCE = 1e-3  # of FLOPs: versions of JAX differ in a few small products


class Cost(NamedTuple):
    """What a variant costs, counted from shapes alone."""

    parameters: int
    forward: int  # FLOPs of the forward pass of one example
    update: int  # FLOPs of a training step, of the whole batch


def variants() -> list[str]:
    """Returns FILE:VARIANT, or FILE, of all configs."""
    names = []
    for path in sorted(ROOT.glob("configs/*.py")):
        if path.stem not in ("__init__", "base"):
            module = importlib.import_module(f"configs.{path.stem}")
            found = [f"{path.stem}:{v}" for v in getattr(module, "VARIANTS", ())]
            names += found or [path.stem]
    return names


def get_config(name: str) -> config_dict.ConfigDict:
    """Returns the config of FILE or FILE:VARIANT."""
    file, _, variant = name.partition(":")
    module = importlib.import_module(f"configs.{file}")
    return module.get_config(*[variant] if variant else [])


def count(config: config_dict.ConfigDict) -> Cost:
    """Traces a config's model and its training step."""
    model = build.make_model(config)
    size = flops.model_size(model)
    update = build.make_update(config, model, total_steps=1000)
    batch = model.batch(config.batch_size)
    state = jax.eval_shape(update.init, batch)
    step = sharding.OverMesh(sharding.make_mesh(jax.devices()[:1])).compile_update(
        update
    )
    return Cost(size.parameters, size.flops, flops.count_flops(step, state, batch))


def read() -> dict[str, Cost]:
    """Returns {variant: its declared cost}."""
    return {name: Cost(**cost) for name, cost in json.loads(PATH.read_text()).items()}


def write(costs: dict[str, Cost]) -> None:
    """Writes the ledger, a line each, so that a change is seen in its diff."""
    rows = [f'  "{name}": {json.dumps(c._asdict())}' for name, c in costs.items()]
    PATH.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def difference(name: str, before: Cost | None, after: Cost | None) -> str:
    """Says how a variant's cost has changed; nothing where it has not."""
    if before is None or after is None:
        return f"{name} is {'new' if before is None else 'gone'}"
    changes = [
        f"{what} {old:,} -> {new:,} ({new / old - 1:+.2%})"
        for what, old, new in zip(Cost._fields, before, after)
        if abs(new - old) > (0 if what == "parameters" else TOLERANCE * old)
    ]
    return f"{name}: {', '.join(changes)}" if changes else ""


def check(name: str, cost: Cost) -> None:
    """Raises ValueError where a variant's cost is not as the ledger has it."""
    if changed := difference(name, read().get(name), cost):
        raise ValueError(
            f"A cost has changed: {changed}. If that is meant, declare it: "
            f"python -m scripts.ledger, and commit {PATH.relative_to(ROOT)}."
        )


def main(_: Sequence[str]) -> None:
    before = read() if PATH.exists() else {}
    after = {name: count(get_config(name)) for name in variants()}
    write(after)
    changes = [
        difference(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*after, *before])
    ]
    print("\n".join(filter(None, changes)) or "No cost has changed.")


if __name__ == "__main__":
    program.run(main)
