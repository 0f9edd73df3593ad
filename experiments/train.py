"""Trains a task, on one CPU or a TPU pod, with the same command.

    python -m experiments.train --config=configs/digits.py --workdir=/tmp/digits
    python -m experiments.train --config=configs/imagenet.py:conv --workdir=DIR \
        --config.optimizer.learning_rate=1e-3

Started again with the same workdir it goes on where it was. On several machines start
it on each: on a Cloud TPU pod, GKE, SLURM and Open MPI the processes find each other,
elsewhere with --coordinator, --num_processes and --process_id.

It ends with status 0 when the run is finished, and with 75 when it was asked to stop
(SIGTERM, Ctrl-C) or lost another process: started again, it then goes on.

    python -m experiments.train --config=configs/imagenet.py:fourier \
        --compile_for=v4:4x4x4

compiles the step for a TPU pod on this machine and prints its cost on each chip.
"""

# ruff: noqa: E402
from perceiver_jax.cluster import signals

signals.end_when_asked()  # first of all: the imports below take seconds

import pathlib
from collections.abc import Sequence

import jax
from absl import app, flags
from ml_collections import config_flags

from experiments import build, launch, planning, program
from perceiver_jax.cluster import processes
from perceiver_jax.engine import writer

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE or FILE:VARIANT, such as configs/imagenet.py:fourier."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run's files.")
_ALLOW_CHANGES = flags.DEFINE_bool(
    "allow_changes", False, "Go on with a run whose config was another."
)
_RESUME_FROM = flags.DEFINE_integer(
    "resume_from",
    None,
    "Go on from the checkpoint of this step; later ones are set aside.",
)
_COMPILE_FOR = flags.DEFINE_string(
    "compile_for", None, "TPU topology to compile for, such as v5e:8x8 or v4:4x4x4."
)
_PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps", None, "Trace steps A to B into WORKDIR/profile: A:B."
)
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which process this is.")


def main(_: Sequence[str]) -> None:
    config = _CONFIG.value
    if config is None:
        raise app.UsageError("--config=FILE is missing, such as configs/digits.py.")
    build.choose_length(config, config_flags.get_override_values(flags.FLAGS["config"]))
    if _COMPILE_FOR.value:
        # What JAX's cache keeps for a TPU can't be read without one.
        jax.config.update("jax_enable_compilation_cache", False)
        print(planning.compile_for(config, _COMPILE_FOR.value))
        return
    if not _WORKDIR.value:
        raise app.UsageError("--workdir=DIR is missing: the folder of this run.")
    profile_steps = _parse_steps(_PROFILE_STEPS.value)
    processes.start(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    writer.log_to_console()
    launch.train(
        config,
        pathlib.Path(_WORKDIR.value),
        _ALLOW_CHANGES.value,
        _RESUME_FROM.value,
        profile_steps,
    )


def _parse_steps(text: str | None) -> tuple[int, int] | None:
    """Parses "A:B", steps from the first on."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last)):
        raise app.UsageError(f"--profile_steps={text} must be A:B, such as 100:105.")
    return int(first), int(last)


if __name__ == "__main__":
    program.run(main)
