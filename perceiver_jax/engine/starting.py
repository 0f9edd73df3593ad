"""How training starts: from a checkpoint, from another run, or from the seed."""

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from perceiver_jax.engine import sharding
from perceiver_jax.engine.checkpoints import checkpoint, description, init_from
from perceiver_jax.engine.task import Task
from perceiver_jax.engine.update import TrainState
from perceiver_jax.engine.window import Window

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a run is kept, and what it is.

    Attributes:
      workdir: folder of checkpoints, metrics.jsonl and TensorBoard files.
      about: what its checkpoints say of themselves, of description.describe.
      donor: variables of another run to start from.
      free: fields of the config that may differ when the run goes on, since they
        change none of its numbers.
      allow_changes: whether all others may differ too.
      resume_from: step of the checkpoint to go on from, instead of the newest.
    """

    workdir: pathlib.Path
    about: Mapping[str, Any]
    donor: init_from.Donor | None = None
    free: Collection[str] = ()
    allow_changes: bool = False
    resume_from: int | None = None


def check_resumed(saved: Mapping[str, Any], task: Task, run: Run) -> None:
    """Raises ValueError unless a run may go on from a checkpoint that says `saved`."""
    description.check_task(saved, task.name, str(run.workdir))
    description.check_identity(saved, task.identity, str(run.workdir))
    changed = description.changes(saved["config"], run.about["config"])
    told = {
        field: f"  {field}: {then!r} in the checkpoint, {now!r} here"
        for field, (then, now) in changed.items()
    }
    fixed = [line for field, line in told.items() if field not in run.free]
    if fixed and not run.allow_changes:
        raise ValueError(
            f"{run.workdir} was begun with another config. Train in a new --workdir, "
            "or go on all the same with --allow_changes: the run is then of two "
            "configs.\n" + "\n".join(fixed)
        )
    if told:
        logger.info("Going on with another config:\n%s", "\n".join(told.values()))


def starting_state(
    make_state: Callable[[], TrainState],
    parallel: sharding.OverMesh | sharding.OverPmap,
    checkpoints: checkpoint.Checkpoints,
    run: Run,
    step: int | None,
) -> tuple[TrainState, Window]:
    """Decides how training starts. In this order:

    1. The workdir has a checkpoint, of `step`: resume it, exactly. Where that is one
       that the user chose, later ones are set aside.
    2. The run has a donor (init_from): its arrays, where names match; step 0.
    3. Neither: initialise from the seed.
    """
    if step is not None:
        variables, rest = split_state(parallel.abstract_state(make_state))
        items = checkpoints.restore(step, variables=variables, optimizer=rest)
        state = TrainState(**items["variables"], **items["optimizer"])
        logger.info("Resumed step %d of %s.", step, checkpoints.directory)
        if step == run.resume_from:  # only now that it proved to be whole
            checkpoints.set_aside_after(step)
        return parallel.from_saved(state), Window(checkpoints.about(step)["window"])
    state = parallel.initialize(make_state)
    if run.donor is None:
        logger.info("Initialised from the seed.")
        return state, Window()
    variables, rest = split_state(parallel.to_save(state))
    state = TrainState(**run.donor.load_into(**variables), **rest)
    return parallel.from_saved(state), Window()


def split_state(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parts what a model is from what only training needs."""
    variables = {"params": state.params, "model_state": state.model_state}
    return variables, {"step": state.step, "opt_state": state.opt_state}
