"""The start of a run that may have several processes, on one host or many."""

import hashlib
import importlib.metadata
import json
import os
import pathlib
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

# JAX's own limit, for a run whose workdir can't be written any more: ours come first.
JAX_HEARTBEAT_SECONDS = 100


def start(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins the processes of a run; where there is one process, does nothing.

    Without arguments JAX asks the environment: Cloud TPU, GKE, SLURM and Open MPI say
    where the others are.

    Args:
      coordinator: HOST:PORT of process 0.
      num_processes: how many there are.
      process_id: which one this is.

    Raises:
      ValueError: some arguments are missing.
    """
    given = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(given) and not all(given):
        raise ValueError(
            "--coordinator, --num_processes and --process_id go together: give all "
            "three, or none where the environment says them."
        )
    if not any(given) and os.environ.get("SLURM_NTASKS") == "1":
        return
    # It takes SIGTERM for itself, and tells nobody but its own waiting steps.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            local_device_ids=_slurm_devices(os.environ),
            heartbeat_timeout_seconds=JAX_HEARTBEAT_SECONDS,
        )
    except ValueError as error:
        if any(given) or "coordinator_address" not in str(error):
            raise
        if int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:  # Open MPI from 5 on
            raise ValueError(
                "This Open MPI does not say where process 0 is: add --coordinator="
                "HOST:PORT --num_processes=$OMPI_COMM_WORLD_SIZE "
                "--process_id=$OMPI_COMM_WORLD_RANK."
            ) from error


def _slurm_devices(environ: Mapping[str, str]) -> Sequence[int] | None:
    """All GPUs of a node, where SLURM starts one task a node.

    JAX gives each task of SLURM one GPU, so such a task would leave the others idle.
    """
    tasks = environ.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0]
    gpus = environ.get("SLURM_GPUS_ON_NODE", "")
    if tasks == "1" and gpus.isdigit() and int(gpus) > 1:
        return range(int(gpus))
    return None


def code_version(*packages: pathlib.Path) -> str:
    """Returns a hash of all Python files of some folders."""
    found = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            found.update(str(path.relative_to(package)).encode() + b"\0")
            found.update(path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Returns the versions of those libraries that a run's numbers depend on."""
    names = ("jax", "jaxlib", "dm-haiku", "optax", "orbax-checkpoint", "grain", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


class _Word(NamedTuple):
    """What a process has to say to the others."""

    host: str
    problem: str = ""
    facts: Mapping[str, Any] = {}
    run: int = 0  # process 0's is that of all


def tell(problem: str) -> None:
    """Tells the others, who wait in `agree`, why this process can't go on."""
    _gather(_Word(socket.gethostname(), problem))


def agree(facts: Mapping[str, Any], problem: str = "") -> int:
    """Makes sure that all processes want the same, before anything is done.

    All processes call it, or `tell`: the others wait for it.

    Args:
      facts: what must be equal on all processes: {"config": {field: value}, ...}, JSON.
      problem: why this process can't go on, if so.

    Returns:
      A number of this run, the same on all processes.

    Raises:
      ValueError: on all processes, if one has a problem or differs; names it.
    """
    everyone = _gather(
        _Word(socket.gethostname(), problem, facts, secrets.randbits(48))
    )
    problems = [
        f"process {index} on {word.host}: {word.problem}"
        for index, word in enumerate(everyone)
        if word.problem
    ]
    if problems:
        raise ValueError(problem if len(everyone) == 1 else "\n".join(problems))
    first = everyone[0]
    lines = []
    for index, other in enumerate(everyone[1:], 1):
        for what, value in first.facts.items():
            if other.facts[what] != value:
                lines.append(
                    f"  process {index} on {other.host} has another {what} than "
                    f"process 0 on {first.host}: "
                    + _difference(value, other.facts[what])
                )
    if lines:
        raise ValueError(
            "The processes of this run were not started alike:\n" + "\n".join(lines)
        )
    return first.run


def _difference(first: Any, other: Any) -> str:
    if not isinstance(first, Mapping):
        return f"{other!r}, not {first!r}"
    fields = [
        f for f in sorted(first.keys() | other.keys()) if first.get(f) != other.get(f)
    ]
    return ", ".join(f"{f}={other.get(f)!r}, not {first.get(f)!r}" for f in fields)


def _gather(mine: _Word) -> list[_Word]:
    """Returns the words of all processes."""
    if jax.process_count() == 1:
        return [mine]
    text = np.frombuffer(json.dumps(mine._asdict()).encode(), np.uint8)
    longest = multihost_utils.process_allgather(np.array([len(text)])).max()
    padded = np.pad(text, (0, longest - len(text)), constant_values=ord(" "))
    rows = multihost_utils.process_allgather(padded)
    return [_Word(**json.loads(bytes(row))) for row in rows]


class AnyProcess:
    """Whether any process says yes, told to all of them at the same call.

    The answer is that of LAG calls ago: steps need not wait for each other.
    """

    LAG = 2

    def __init__(self):
        """Asks nobody yet."""
        devices = np.array(jax.devices())
        mesh = jax.sharding.Mesh(devices, ("all",))
        spec = jax.sharding.PartitionSpec
        self._split = jax.sharding.NamedSharding(mesh, spec("all"))
        whole = jax.sharding.NamedSharding(mesh, spec())
        self._any = jax.jit(lambda said: said.any(), out_shardings=whole)
        self._pending: list[jax.Array] = []

    def __call__(self, mine: bool) -> bool:
        """Says what this process says, and returns whether any said yes."""
        if jax.process_count() == 1:
            return mine
        said = np.full(jax.local_device_count(), mine)
        said = jax.make_array_from_process_local_data(self._split, said)
        self._pending.append(self._any(said))
        if len(self._pending) <= self.LAG:
            return False
        return bool(self._pending.pop(0))
