"""Checkpoints that explain themselves: asynchronous, atomic, best and last kept.

A checkpoint is a folder WORKDIR/checkpoints/STEP that holds `variables` (parameters
and model state), `optimizer` (its state and the step), `about`: what it says of itself
(see description.py), and the running means of the metrics, so that resuming is exact;
and, once it was evaluated, evaluation.json.
"""

import contextlib
import json
import logging
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from perceiver_jax.engine import sharding

logger = logging.getLogger(__name__)

Shapes = dict[str, tuple[tuple[int, ...], str]]  # name to shape and type


class Checkpoints:
    """The checkpoints of one workdir."""

    def __init__(
        self,
        workdir: str | pathlib.Path,
        keep_last: int = 1,
        keep_best: int = 1,
        read_only: bool = False,
    ):
        """Opens WORKDIR/checkpoints.

        Args:
          workdir: folder of a run.
          keep_last: how many of the newest to keep.
          keep_best: how many of those whose "score" is largest to keep besides.
          read_only: open to restore only; nothing is created or deleted.

        Raises:
          FileNotFoundError: read_only, and there is nothing to read.
        """
        self.directory = pathlib.Path(workdir).absolute() / "checkpoints"
        if read_only and not self.directory.is_dir():
            raise FileNotFoundError(
                f"No checkpoints in {workdir}: it must be the --workdir of a run."
            )
        self._metrics = _Metrics(self.directory)
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(
                    [policies.LatestN(keep_last), _Best(keep_best, self._metrics)]
                ),
                read_only=read_only,
                create=not read_only,
            ),
            item_handlers={
                "variables": ocp.StandardCheckpointHandler(),
                "optimizer": ocp.StandardCheckpointHandler(),
                "about": ocp.JsonCheckpointHandler(),
            },
        )

    def latest_step(self) -> int | None:
        """Returns the newest step, None where there is no checkpoint."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """Returns the steps of all complete checkpoints."""
        return sorted(self._manager.all_steps())

    def save(
        self,
        step: int,
        variables: Any,
        optimizer: Any,
        about: Mapping[str, Any],
    ) -> None:
        """Starts to write a checkpoint; a second save of a step does nothing.

        `optimizer` is None for weights that were trained elsewhere.
        """
        if step in self._manager.all_steps():
            return
        items = {
            "variables": ocp.args.StandardSave(variables),
            "about": ocp.args.JsonSave(dict(about)),
        }
        if optimizer is not None:
            items["optimizer"] = ocp.args.StandardSave(optimizer)
        self._manager.save(step, args=ocp.args.Composite(**items))

    def add_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds the evaluation of a step that was saved, once it is written whole."""
        self._manager.wait_until_finished()
        self._metrics.write(step, metrics)

    def check(self) -> None:
        """Raises what went wrong in writing a checkpoint."""
        self._manager.check_for_errors()

    def wait(self) -> None:
        """Waits until all that was saved is written."""
        self._manager.wait_until_finished()

    def about(self, step: int) -> dict[str, Any]:
        """Returns what a checkpoint says of itself."""
        args = ocp.args.Composite(about=ocp.args.JsonRestore())
        return dict(self._restore(step, args)["about"])

    def restore(self, step: int, **items: Any) -> Any:
        """Returns items of a checkpoint.

        Args:
          step: which checkpoint.
          **items: `variables` and / or `optimizer`: trees of jax.ShapeDtypeStruct with
            the shapes and shardings to restore into.

        Returns:
          {item: tree}.

        Raises:
          ValueError: the checkpoint holds other arrays, or its files are damaged.
        """
        for item, wanted in items.items():
            saved, wanted = shapes_of(self.abstract(step, item)), shapes_of(wanted)
            check_same_arrays(saved, wanted, str(self.directory / str(step)))
        args = {k: ocp.args.StandardRestore(v) for k, v in items.items()}
        return self._restore(step, ocp.args.Composite(**args))

    def abstract(self, step: int, item: str) -> Any:
        """Returns an item's shapes and types, to restore it whole on every device."""
        mesh = sharding.make_mesh()
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        with self._damage_of(step):
            items = self._manager.item_metadata(step)
            tree = items[item].tree if item in items.keys() else None
        if tree is None:
            raise ValueError(
                f"Checkpoint {self.directory / str(step)} has no {item}: it was "
                "converted, not trained. Start from it in a new workdir, with "
                "--config.init_from."
            )
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), tree
        )

    def metrics(self, step: int) -> dict[str, float]:
        """Returns a checkpoint's evaluation, or nothing where there was none."""
        return self._metrics.read(step)

    def best_step(self) -> int | None:
        """Returns the step whose score is largest, None where none was evaluated."""
        scores = self._metrics.scores(self.steps())
        return max(scores, key=lambda step: scores[step], default=None)

    def close(self) -> None:
        """Waits, and lets go of the folder."""
        self._manager.wait_until_finished()
        self._manager.close()

    def _restore(self, step: int, args: ocp.args.Composite) -> Any:
        with self._damage_of(step):
            return self._manager.restore(step, args=args)

    @contextlib.contextmanager
    def _damage_of(self, step: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            reason = str(error).splitlines()[0][:200] if str(error) else repr(error)
            raise ValueError(
                f"Checkpoint {self.directory / str(step)} is damaged ({reason}). "
                "Remove that folder to go on from the one before it."
            ) from error


class _Metrics(NamedTuple):
    """The evaluations of checkpoints, each a file in the checkpoint's folder."""

    directory: pathlib.Path

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes them whole or not at all; one process does."""
        if jax.process_index() == 0:
            path = self._path(step)
            part = path.with_name(f"{path.name}.part")
            part.write_text(json.dumps(dict(metrics)))
            part.rename(path)

    def read(self, step: int) -> dict[str, float]:
        """Returns a step's, nothing where it has none."""
        path = self._path(step)
        try:
            return json.loads(path.read_text()) if path.exists() else {}
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged ({error}): remove it, and the step counts as not "
                "evaluated."
            ) from error

    def scores(self, steps: Iterable[int]) -> dict[int, float]:
        """Returns the scores of those steps that were evaluated."""
        found = {step: self.read(step).get("score") for step in steps}
        return {step: score for step, score in found.items() if score is not None}

    def _path(self, step: int) -> pathlib.Path:
        return self.directory / str(step) / "evaluation.json"


class _Best(NamedTuple):
    """Which checkpoints Orbax may not delete: those whose score is largest."""

    keep: int
    metrics: _Metrics

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """Returns it for each of the checkpoints."""
        del context
        scores = self.metrics.scores(c.step for c in checkpoints)
        best = sorted(scores, key=lambda step: scores[step], reverse=True)
        return [c.step in best[: self.keep] for c in checkpoints]


def leaves(tree: Any) -> dict[str, Any]:
    """Names the arrays of a tree: {"module/name": array}."""

    def name(path):
        return "/".join(jax.tree_util.keystr((key,), simple=True) for key in path)

    return {name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def shapes_of(tree: Any) -> Shapes:
    """Returns the shape and type of every array of a tree, by name."""
    return {k: (tuple(x.shape), str(x.dtype)) for k, x in leaves(tree).items()}


def check_same_arrays(saved: Shapes, wanted: Shapes, where: str) -> None:
    """Raises ValueError, naming the first differences, unless both are the same."""
    differences = []
    for name in sorted(saved.keys() | wanted.keys()):
        if name not in saved:
            differences.append(f"  {name}: only in this model, {wanted[name]}")
        elif name not in wanted:
            differences.append(f"  {name}: only in the checkpoint, {saved[name]}")
        elif saved[name] != wanted[name]:
            differences.append(
                f"  {name}: {saved[name]} in the checkpoint, {wanted[name]} here"
            )
    if differences:
        shown = "\n".join(differences[:5])
        raise ValueError(
            f"The model differs from the one in {where} in {len(differences)} arrays. "
            "Use the config that it was made with; another model can start from it in "
            f"a new workdir, with --config.init_from. The first ones:\n{shown}"
        )


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
