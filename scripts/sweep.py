r"""Trains a config many times, with other fields, and shows how the runs stand.

    python -m scripts.sweep --config=configs/digits.py --workdir=DIR --parallel=2 \
        --grid optimizer.learning_rate=1e-3,2e-3,4e-3 --grid seed=0..3
    python -m scripts.sweep --config=configs/glue.py --workdir=DIR --sweep \
        --launcher=slurm --partition=gpu --gpus=1 --hours=4
    python -m scripts.sweep --config=configs/imagenet.py:perceiver --sweep \
        --workdir=/mnt/BUCKET/DIR --launcher=tpu --parallel=2 \
        -- --zone=us-central2-b --type=v4-32 --bucket=BUCKET
    python -m scripts.sweep --workdir=DIR --show

--sweep takes the points of the config file's sweep(); each --grid multiplies them. Each
run has a folder in DIR, named by its fields. The same command again trains only what is
not finished. DIR/sweep.csv, DIR/sweep.md and pictures are written at the end, and by
--show.
"""

import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from absl import app, flags
from ml_collections import config_flags

from experiments import program
from perceiver_jax import extras
from perceiver_jax.cluster.signals import UNFINISHED
from scripts.sweeps import grid, launchers, plots, runs, status, table
from scripts.sweeps.launchers import Launcher
from scripts.sweeps.runs import Run
from scripts.sweeps.table import Row

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE or FILE:VARIANT, such as configs/digits.py."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for all runs.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Take the points of the config file.")
_GRID = flags.DEFINE_multi_string(
    "grid", [], "FIELD=VALUE,VALUE,...; of integers also FIELD=0..4."
)
_LAUNCHER = flags.DEFINE_enum(
    "launcher", "local", ("local", "slurm", "tpu", "print"), "Where to train."
)
_SHOW = flags.DEFINE_bool("show", False, "Only write table and pictures.")
_PARALLEL = flags.DEFINE_integer(
    "parallel", None, "Runs at a time. Default: 1; with SLURM, no limit.", 1
)
_GPUS = flags.DEFINE_integer("gpus", 0, "GPUs of each run, on each node.", 0)
_NODES = flags.DEFINE_integer("nodes", 1, "SLURM: nodes of each run.", 1)
_HOURS = flags.DEFINE_float(
    "hours", 24, "SLURM: time limit, after which a run is queued again.", 0.1
)
_PARTITION = flags.DEFINE_string("partition", None, "SLURM: partition.")
_SBATCH = flags.DEFINE_multi_string(
    "sbatch", [], "SLURM: any option of sbatch, such as account=NAME."
)


def main(arguments: Sequence[str]) -> None:
    if not _WORKDIR.value:
        raise app.UsageError("--workdir=DIR is missing: the folder for all runs.")
    for name in ("matplotlib", "rich", "submitit"):  # one that is missing says so now
        extras.Library(name, extra="sweep").__name__  # noqa: B018
    if "://" in _WORKDIR.value:
        raise ValueError(
            f"--workdir={_WORKDIR.value} is no folder of this machine: mount the "
            "bucket, and name the folder where it is mounted."
        )
    if arguments and _LAUNCHER.value != "tpu":
        raise app.UsageError(f"Only --launcher=tpu takes {' '.join(arguments)}.")
    folder = pathlib.Path(_WORKDIR.value).absolute()
    if _SHOW.value:
        found = runs.find(folder)
        _write(folder, _rows(found, {}))
        return
    wanted = _plan(folder)
    launcher = _make_launcher(folder, wanted, arguments)
    jobs = launcher.poll()
    to_do = [run for run in wanted if _is_to_do(run, jobs)]
    for run in to_do:
        run.prepare()
    if _LAUNCHER.value == "print":
        for run in to_do:
            print(shlex.join(run.command()))
        return
    launcher.start(to_do)
    was_asked = _follow(launcher, wanted)
    rows = _rows(wanted, launcher.poll())
    _write(folder, rows)
    if was_asked:
        print("The same command again goes on.")
        sys.exit(UNFINISHED)
    if any(row.status.state != status.FINISHED for row in rows):
        sys.exit(1)


def _plan(folder: pathlib.Path) -> list[Run]:
    """Returns all runs that the flags ask for."""
    if _CONFIG.value is None:
        raise app.UsageError("--config=FILE is missing, such as configs/digits.py.")
    if not (_SWEEP.value or _GRID.value):
        raise app.UsageError("--sweep or --grid FIELD=VALUES is missing.")
    flag = flags.FLAGS["config"]
    file = config_flags.get_config_filename(flag)
    common = config_flags.get_override_values(flag)
    points = grid.read_sweep(file) if _SWEEP.value else []
    points = grid.multiply(points, map(grid.parse_grid, _GRID.value))
    return runs.plan(folder, file, {f: str(v) for f, v in common.items()}, points)


def _make_launcher(
    folder: pathlib.Path, wanted: Sequence[Run], tpu_flags: Sequence[str]
) -> Launcher:
    if _LAUNCHER.value == "slurm":
        options = {
            "timeout_min": round(60 * _HOURS.value),
            "nodes": _NODES.value,
            "gpus_per_node": _GPUS.value or None,
            "slurm_partition": _PARTITION.value,
            "slurm_array_parallelism": _PARALLEL.value,
            "slurm_additional_parameters": dict(o.split("=", 1) for o in _SBATCH.value),
        }
        given = {name: value for name, value in options.items() if value}
        return launchers.Slurm(folder, wanted, given)
    command: Callable[[Run], list[str]] = Run.command
    if _LAUNCHER.value == "tpu":
        command = launchers.Tpu(tpu_flags).command
    return launchers.Local(folder, _PARALLEL.value or 1, _GPUS.value, command)


def _is_to_do(run: Run, jobs: Mapping[str, str]) -> bool:
    """Whether a run is not finished, and nothing else is at work on it."""
    done = (status.FINISHED, status.RUNNING, status.QUEUED, status.CHANGED)
    return status.status(run, jobs.get(run.name, "")).state not in done


def _rows(wanted: Sequence[Run], jobs: Mapping[str, str]) -> list[Row]:
    rows = []
    for run in wanted:
        standing = status.status(run, jobs.get(run.name, ""))
        rows.append(Row(run, standing, status.measure(run.workdir)))
    return rows


def _follow(launcher: Launcher, wanted: Sequence[Run]) -> bool:
    """Shows the runs until no job is left; returns whether Ctrl-C ended it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    was_asked = False
    with table.View() as view:
        while True:
            try:
                jobs = launcher.poll()
                view.show(_rows(wanted, jobs))
                if not jobs:
                    return was_asked
                time.sleep(1)
            except KeyboardInterrupt:
                view.tell(launcher.stop())
                if was_asked or launcher.outlives:
                    return True
                was_asked = True


def _write(folder: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes table and pictures, and says what needs to be looked at."""
    pictures = plots.save(rows, folder)
    table.write(folder / "sweep.csv", table.csv_text(rows))
    table.write(folder / "sweep.md", table.markdown(rows, pictures))
    for row in rows:
        if row.status.state in table.FAILURES:
            print(table.line(row))
    print(f"{table.summary(rows)}. Table and pictures: {folder / 'sweep.md'}")


if __name__ == "__main__":
    program.run(main, takes_arguments=True)
