"""Every variant of every config: configs/*.py:VARIANTS."""

import importlib

from programs import ROOT

from scripts import ledger

FILES = sorted(path.stem for path in ROOT.glob("configs/*.py") if path.stem[0] != "_")
FILES.remove("base")


def module(file):
    return importlib.import_module(f"configs.{file}")


NAMES = ledger.variants()
get_config = ledger.get_config
