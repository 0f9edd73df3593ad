"""What checkpoints say of themselves: task, identity, config, origin; and what fits it.

The description of a checkpoint, `about`, is JSON: the task's name, what its inputs and
outputs stand for, the whole config, the git hash, the checkpoint that it started from,
and the versions of libraries.
"""

import json
import pathlib
import subprocess
from collections.abc import Mapping
from typing import Any

from perceiver_jax.cluster import processes
from perceiver_jax.engine.task import Identity

RUN = "config.json"  # in a workdir: what its next checkpoint will say of itself


def describe(
    task: str, identity: Identity, config: Mapping[str, Any], parent: str = ""
) -> dict[str, Any]:
    """Returns what a checkpoint says of itself.

    Args:
      task: the task's name.
      identity: what inputs and outputs stand for.
      config: the whole config, as JSON.
      parent: the checkpoint that it started from.
    """
    return {
        "task": task,
        "config": dict(config),
        "git": _git_hash(),
        "parent": parent,
        "vocabulary": identity.vocabulary,
        "class_names": {k: list(v) for k, v in identity.class_names.items()},
        "versions": processes.library_versions(),
    }


def write(workdir: pathlib.Path, about: Mapping[str, Any]) -> None:
    """Writes what a run is to its workdir, which may have no checkpoint for long."""
    path = workdir / RUN
    part = path.with_name(f"{RUN}.part")
    part.write_text(json.dumps(dict(about), indent=1))
    part.replace(path)


def read(workdir: pathlib.Path) -> dict[str, Any]:
    """Returns what a run is, as it was last started.

    Raises:
      FileNotFoundError: none was started there.
      ValueError: the file is damaged.
    """
    path = workdir / RUN
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: training writes it when it starts in a workdir."
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): start the run again, which writes it anew."
        ) from error


def _git_hash() -> str:
    here = pathlib.Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # installed without its repository
    return done.stdout.strip()


def check_task(about: Mapping[str, Any], task: str, where: str) -> None:
    """Raises ValueError if a checkpoint is of another task."""
    if about["task"] != task:
        raise ValueError(
            f"{where} is a run of task '{about['task']}', not of '{task}': choose "
            "another --workdir."
        )


def identity_of(about: Mapping[str, Any]) -> Identity:
    """Returns what a checkpoint's inputs and outputs stand for."""
    return Identity(about.get("vocabulary", ""), about.get("class_names", {}))


def check_vocabulary(about: Mapping[str, Any], vocabulary: str, where: str) -> None:
    """Raises ValueError if a checkpoint's tokens stand for something else."""
    saved = identity_of(about).vocabulary
    if saved and vocabulary and saved != vocabulary:
        raise ValueError(
            f"{where} was trained with the tokenizer '{saved}', this is '{vocabulary}':"
            " set --config.data.tokenizer to that one."
        )


def check_identity(about: Mapping[str, Any], identity: Identity, where: str) -> None:
    """Raises ValueError if its tokens or its classes stand for something else."""
    check_vocabulary(about, identity.vocabulary, where)
    saved = identity_of(about).class_names
    for output in saved.keys() & identity.class_names.keys():
        then, now = list(saved[output]), list(identity.class_names[output])
        if then and now and then != now:
            differ = [f"{a!r}, here {b!r}" for a, b in zip(then, now) if a != b]
            raise ValueError(
                f"{where} was trained on other classes of '{output}': "
                + (differ[0] if differ else f"{len(then)}, here {len(now)}")
                + ". Use data with the classes that it was trained on."
            )


def changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple]:
    """Returns {"a.b": (saved value, value now)} where two configs differ."""
    then, here = flatten(saved), flatten(now)
    return {
        field: (then.get(field), here.get(field))
        for field in sorted(then.keys() | here.keys())
        if then.get(field) != here.get(field)
    }


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns {"a.b": value} of {"a": {"b": value}}."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
