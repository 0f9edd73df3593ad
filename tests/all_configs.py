"""Every variant of every config: configs/*.py:VARIANTS."""

import importlib

from programs import ROOT

from perceiver_jax.engine.checkpoints import description
from scripts import ledger

FILES = sorted(path.stem for path in ROOT.glob("configs/*.py") if path.stem[0] != "_")
FILES.remove("base")


def module(file):
    return importlib.import_module(f"configs.{file}")


NAMES = ledger.variants()
get_config = ledger.get_config


# Any optimizer steps any parameters, and layers are one program however many there are.
_NO_PROGRAM = ("model.layers_per_block", "model.remat")


def program(name):
    """What of a variant's model is more than sizes: switches; and whether there is
    none, one or more of something."""

    def structure(value):
        if isinstance(value, tuple | list):
            return tuple(map(structure, value))
        if isinstance(value, float):
            return value > 0
        return value if isinstance(value, bool | str) else min(value, 2)

    flat = description.flatten(get_config(name).to_dict())
    return tuple(
        (field, structure(value))
        for field, value in flat.items()
        if field.startswith(("task", "model.")) and field not in _NO_PROGRAM
    )


# One variant of each program; the others differ from these by sizes alone.
PROGRAMS = list({program(name): name for name in NAMES}.values())
