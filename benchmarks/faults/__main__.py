"""Kills, starves and damages runs of a small real task, and tells what became of them.

    python -m benchmarks.faults --workdir=/tmp/faults \
        --output=benchmarks/results/faults.md

Started again with the same workdir, it goes on where it was. Two runs at a time; what
is timed runs alone, at the end. Full and read-only disks are mounted, which takes root.
"""

import logging
import pathlib
from collections.abc import Sequence

from absl import app, flags

from benchmarks import figures
from benchmarks.faults import lifetime, table
from benchmarks.faults.campaign import Campaign
from benchmarks.faults.table import Log
from experiments import program

PARTS = ("kills", "flips", "cases", "data", "seconds")

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the campaign's runs.")
_OUTPUT = flags.DEFINE_string("output", None, "Markdown file for the tables.")
_KILLS = flags.DEFINE_integer("kills", 200, "Kills, of all kinds of runs.")
_FLIPS = flags.DEFINE_integer("flips", 100, "Bits to flip.")
_TRIES = flags.DEFINE_integer("tries", 3, "Of each other case.")
_SEED = flags.DEFINE_integer("seed", 0, "Of all that is random.")
_ONLY = flags.DEFINE_list("only", list(PARTS), "Which parts to do.")


def main(_: Sequence[str]) -> None:
    if not _WORKDIR.value:
        raise app.UsageError("--workdir=DIR is missing: the folder of all runs.")
    unknown = set(_ONLY.value) - set(PARTS)
    if unknown:
        raise app.UsageError(f"--only has {unknown}; parts are {', '.join(PARTS)}.")
    logging.disable(logging.WARNING)  # what damaged checkpoints make Orbax say
    folder = pathlib.Path(_WORKDIR.value).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    log = Log(folder / "outcomes.jsonl")
    campaign = Campaign(folder, _SEED.value, log)
    if "kills" in _ONLY.value:
        campaign.do(campaign.kills(_KILLS.value))
    if "flips" in _ONLY.value:
        campaign.do(campaign.flips(_FLIPS.value))
    if "cases" in _ONLY.value:
        campaign.do(campaign.cases(_TRIES.value))
    if "data" in _ONLY.value:
        campaign.do(campaign.data(_TRIES.value), lanes=1)
    sections = [table.report(log.outcomes())]
    if "seconds" in _ONLY.value:
        sections.append(lifetime.report(campaign.place("seconds")))
    text = "\n\n".join([_head(), *sections]) + "\n"
    print(text)
    if _OUTPUT.value:
        pathlib.Path(_OUTPUT.value).write_text(text)


def _head() -> str:
    about = figures.about("benchmarks.faults")
    return (
        f"# Faults\n\n{about['date']}, {about['hardware']}, jax {about['jax']}.\n\n"
        f"    {about['command']}"
    )


if __name__ == "__main__":
    program.run(main)
