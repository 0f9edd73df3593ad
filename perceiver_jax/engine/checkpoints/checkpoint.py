"""Checkpoints that explain themselves: asynchronous, atomic, best and last kept.

A checkpoint is a folder WORKDIR/checkpoints/STEP that holds `variables` (parameters
and model state), `optimizer` (its state and the step), and `about`: what it says of
itself (see description.py), the running means of the metrics, so that resuming is
exact, and the checksum of every array, compared at each restore. Once it was evaluated
it has evaluation.json besides.
"""

import contextlib
import pathlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from perceiver_jax.engine.checkpoints import damage, on_disk
from perceiver_jax.engine.checkpoints.checksums import checksums_of
from perceiver_jax.engine.checkpoints.damage import DamagedError
from perceiver_jax.engine.checkpoints.on_disk import Folder
from perceiver_jax.engine.checkpoints.resume_point import ResumePoint
from perceiver_jax.engine.checkpoints.saving import Save

HALF_WRITTEN = ".orbax-checkpoint-tmp"  # the end of a folder's name until it is whole


class Checkpoints:
    """The checkpoints of one workdir."""

    def __init__(
        self,
        workdir: str | pathlib.Path,
        keep_last: int = 2,
        keep_best: int = 1,
        read_only: bool = False,
    ):
        """Opens WORKDIR/checkpoints.

        Args:
          workdir: folder of a run.
          keep_last: how many of the newest to keep.
          keep_best: how many of those whose "score" is largest to keep besides.
          read_only: open to restore only; nothing is created or deleted. A trainer,
            of which there may be one, removes what a killed one left half-written.

        Raises:
          FileNotFoundError: read_only, and there is nothing to read.
          OSError: the folder can't be made or written.
        """
        damage.hush_orbax()
        workdir = pathlib.Path(workdir).absolute()
        self.directory = workdir / "checkpoints"
        self._resume_point = ResumePoint(workdir)
        self._save: Save | None = None  # what is being written
        # A thread that ends the process waits too, maybe while another one does.
        self._waiting = threading.Lock()
        self._manager: ocp.CheckpointManager | None = None
        if not read_only:
            self.directory.mkdir(parents=True, exist_ok=True)
            if jax.process_index() == 0:
                for half in self.directory.glob(f"*{HALF_WRITTEN}"):
                    shutil.rmtree(half)
            self._manager = self._make_manager(keep_last, keep_best)
        elif not self.directory.is_dir():
            raise FileNotFoundError(
                f"No checkpoints in {workdir}: it must be the --workdir of a run."
            )

    def _make_manager(self, keep_last: int, keep_best: int) -> ocp.CheckpointManager:
        best = on_disk.Best(keep_best, self.directory)
        return ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(
                    [policies.LatestN(keep_last), best]
                ),
                # Or it reads what Orbax says of each, which may be damaged.
                lightweight_initialize=True,
            ),
            item_handlers={
                "variables": ocp.StandardCheckpointHandler(),
                "optimizer": ocp.StandardCheckpointHandler(),
                on_disk.ABOUT: ocp.JsonCheckpointHandler(),
            },
        )

    def latest_step(self) -> int | None:
        """Returns the newest step, that which is being written too; None for none."""
        steps = self.steps() + ([self._save.step] if self._save else [])
        return max(steps, default=None)

    def steps(self) -> list[int]:
        """Returns the steps of all complete checkpoints."""
        # Orbax gives a folder its name once all is written.
        names = [path.name for path in self.directory.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal())

    def step_to_resume(self, chosen: int | None = None) -> int | None:
        """Returns the step to train on from, as ResumePoint.find."""
        return self._resume_point.find(self.steps(), chosen)

    def set_aside_after(self, step: int) -> None:
        """Moves checkpoints later than `step`, which a user chose, to set_aside.

        Only a trainer may, once it has restored that one.
        """
        if jax.process_index() == 0:
            self._resume_point.set_aside_after(step, self.steps())
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("checkpoints set aside")
        self._writing().reload()

    def save(
        self,
        step: int,
        variables: Any,
        optimizer: Any,
        about: Mapping[str, Any],
    ) -> None:
        """Starts to write a checkpoint; a second save of a step does nothing.

        `optimizer` is None for weights that were trained elsewhere.

        Raises:
          FloatingPointError: an array is not finite. The checkpoints before stay.
          OSError: it can't be written, or the one before it could not be.
        """
        self.wait()
        if step in self.steps():
            return
        items = {"variables": variables}
        if optimizer is not None:
            items["optimizer"] = optimizer
        checksums = checksums_of(items)
        for name, checksum in checksums.items():
            if not checksum.is_finite:
                newest = self.latest_step()
                there = "There is no checkpoint yet"
                if newest is not None:
                    there = f"The newest checkpoint is that of step {newest}"
                raise FloatingPointError(
                    f"{name} is not finite after step {step}, so that is not saved. "
                    f"{there}. Try a lower learning rate, clip_norm, or precision "
                    "with compute=float32."
                )
        save = Save.of(self.directory / str(step), items)
        save.check_space()
        described = {**about, on_disk.CHECKSUMS: checksums}
        args = {k: ocp.args.StandardSave(tree) for k, tree in items.items()}
        sealed = ocp.args.JsonSave(on_disk.seal(described))
        try:
            self._writing().save(step, args=ocp.args.Composite(about=sealed, **args))
        except DamagedError:  # an evaluation's, read to find the best
            raise
        except Exception as error:
            raise save.failed(damage.reason(error)) from error
        self._save = save

    def check(self) -> None:
        """Looks whether a save has ended; to be called at each step.

        Raises:
          OSError: it could not be written, such as to a full disk.
        """
        if self._save is not None and not self._writing().is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits until what is being written is whole; raises as `check`."""
        with self._waiting:
            save = self._save
            if save is None:
                return
            try:
                self._writing().wait_until_finished()
            except Exception as error:
                raise save.failed(damage.reason(error)) from error
            finally:
                self._save = None
            if jax.process_index() == 0:
                self._resume_point.was_written(save.step)

    def add_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds the evaluation of a step that was saved, once it is written whole."""
        self.wait()
        if jax.process_index() == 0:
            self._folder(step).write_evaluation(metrics)

    def about(self, step: int) -> dict[str, Any]:
        """Returns what a checkpoint says of itself; raises as `restore`."""
        with self._damage_of(step):
            return self._folder(step).about()

    def restore(self, step: int, **items: Any) -> dict[str, Any]:
        """Returns items of a checkpoint, each array as it was saved.

        Args:
          step: which checkpoint.
          **items: `variables` and / or `optimizer`: trees of jax.ShapeDtypeStruct with
            the shapes and shardings to restore into.

        Returns:
          {item: tree}.

        Raises:
          DamagedError: its files are not what was saved; says which others' are.
          ValueError: it holds other arrays, or has no such item.
        """
        folder = self._folder(step)
        with self._damage_of(step, items):
            for item in items:
                folder.check_has(item)
            return folder.read(items)

    def abstract(self, step: int, item: str) -> Any:
        """Returns an item's shapes and types, to restore it whole on every device."""
        folder = self._folder(step)
        with self._damage_of(step):
            folder.check_has(item)
            return folder.abstract(item)

    def metrics(self, step: int) -> dict[str, float]:
        """Returns a checkpoint's evaluation, or nothing where there was none."""
        return self._folder(step).evaluation()

    def best_step(self) -> int | None:
        """Returns the step whose score is largest, None where none was evaluated."""
        scores = on_disk.scores(self.directory, self.steps())
        return max(scores, key=lambda step: scores[step], default=None)

    def close(self) -> None:
        """Waits, and lets go of the folder."""
        if self._manager is not None:
            self.wait()
            self._manager.close()

    def _folder(self, step: int) -> Folder:
        return Folder(self.directory / str(step))

    def _writing(self) -> ocp.CheckpointManager:
        if self._manager is None:
            raise ValueError(f"{self.directory} is open to restore only.")
        return self._manager

    @contextlib.contextmanager
    def _damage_of(
        self, step: int, items: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Adds to the error of a damaged checkpoint what can be done."""
        try:
            yield
        except DamagedError as error:
            aside = self._resume_point.set_aside if self._manager else None
            others = [other for other in self.steps() if other != step]
            remedy = self._folder(step).remedy(others, items, aside)
            raise DamagedError(
                f"Checkpoint {self.directory / str(step)} is damaged: {error}. {remedy}"
            ) from error


def load_variables(
    path: str | pathlib.Path, step: int | str = "latest"
) -> tuple[dict[str, Any], dict[str, Any], pathlib.Path]:
    """Loads a model without its training state, whole on every device.

    Args:
      path: a workdir, or one of its checkpoint folders WORKDIR/checkpoints/STEP.
      step: "latest", "best" or a number; not used where `path` names a step.

    Returns:
      variables {"params", "model_state"}, what the checkpoint says of itself, and its
      folder.

    Raises:
      FileNotFoundError: there is no such checkpoint.
    """
    path = pathlib.Path(path).absolute()
    if path.parent.name == "checkpoints":
        path, step = path.parent.parent, path.name
    checkpoints = Checkpoints(path, read_only=True)
    steps = checkpoints.steps()
    if step == "latest":
        number = max(steps, default=None)
    elif step == "best":
        number = checkpoints.best_step()
    else:
        number = int(step) if str(step).isdigit() else None
    if step == "best" and steps and number is None:
        raise FileNotFoundError(
            f"No checkpoint of {path} was evaluated, so none is the best: use 'latest' "
            f"or one of {steps}."
        )
    if number not in steps:
        raise FileNotFoundError(
            f"No checkpoint '{step}' in {path}; it has {steps or 'none'}."
        )
    abstract = checkpoints.abstract(number, "variables")
    variables = checkpoints.restore(number, variables=abstract)["variables"]
    return variables, checkpoints.about(number), checkpoints.directory / str(number)
