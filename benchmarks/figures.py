"""What benchmarks write: figures, with the command, machine and day they are of."""

import json
import os
import pathlib
import platform
import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

import jax


def peak_gb() -> float:
    """Returns the peak memory of this process, of Linux's own count.

    Not resource.getrusage's, in which a process has at least its parent's peak.
    """
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(peak) / 1e6


def about(program: str) -> dict[str, str]:
    """Returns what figures are of that `python -m PROGRAM`, running now, measures."""
    return {
        "command": " ".join(["python -m", program, *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "jax": jax.__version__,
    }


def save(path: str, program: str, figures: Mapping[str, Any]) -> None:
    """Writes a JSON file of figures that `python -m PROGRAM`, running now, measured."""
    text = json.dumps(about(program) | dict(figures), indent=2) + "\n"
    pathlib.Path(path).write_text(text)
