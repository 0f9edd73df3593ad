"""Every variant of every config: configs/*.py:VARIANTS."""

import importlib

from programs import ROOT

FILES = sorted(path.stem for path in ROOT.glob("configs/*.py") if path.stem[0] != "_")
FILES.remove("base")


def module(file):
    return importlib.import_module(f"configs.{file}")


NAMES = [
    f"{file}:{variant}" if variant else file
    for file in FILES
    for variant in getattr(module(file), "VARIANTS", [""])
]


def get_config(name):
    """The config of FILE or FILE:VARIANT."""
    file, _, variant = name.partition(":")
    return module(file).get_config(*[variant] if variant else [])
