"""The runs of a sweep: each a config with some fields changed, and a workdir."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_dict, config_flags

from experiments import build, program
from perceiver_jax.engine.checkpoints import description
from scripts.sweeps import grid
from scripts.sweeps.job import newest_step

ABOUT = "sweep.json"  # in a workdir: what its sweep wanted of it


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
      workdir: its folder, named by what is swept.
      config_file: FILE or FILE:VARIANT.
      swept: {field: value}, of this run.
      overrides: {field: value} of all that the command line changes.
      config: the whole config, as JSON has it.
    """

    workdir: pathlib.Path
    config_file: str
    swept: Mapping[str, Any]
    overrides: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.workdir.name

    @property
    def arguments(self) -> list[str]:
        """What experiments.train is told."""
        return [
            f"--config={self.config_file}",
            f"--workdir={self.workdir}",
            *(f"--config.{field}={value}" for field, value in self.overrides.items()),
        ]

    def command(self) -> list[str]:
        """The command that trains it, for the folder of the code."""
        return [sys.executable, "-m", "experiments.train", *self.arguments]

    def value(self, field: str) -> Any:
        """Returns the value of a field of its config, swept in this run or not."""
        return description.flatten(self.config).get(field, "")

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Returns {field: (then, now)} of what its workdir was begun with.

        Fields that change none of a run's numbers are left out, and so is all where
        nothing has been trained yet.
        """
        path = self.workdir / ABOUT
        if not path.exists() or not newest_step(self.workdir):
            return {}
        then = json.loads(path.read_text())["config"]
        fields = build.find(config_dict.ConfigDict(self.config), "fields")
        free = (*build.FREE, *fields.FREE)
        changed = description.changes(then, self.config)
        return {field: both for field, both in changed.items() if field not in free}

    def prepare(self) -> None:
        """Makes the workdir, and writes into it what is wanted of it."""
        self.workdir.mkdir(parents=True, exist_ok=True)
        fields = {**dataclasses.asdict(self), "workdir": None}
        (self.workdir / ABOUT).write_text(json.dumps(fields, indent=1) + "\n")


def swept_fields(runs: Iterable[Run]) -> list[str]:
    """Returns the fields that are swept in some run, in order."""
    return sorted({field for run in runs for field in run.swept})


def find(folder: pathlib.Path) -> list[Run]:
    """Returns the runs of the sweeps that were started in a folder.

    Raises:
      ValueError: there is none.
    """
    found = []
    for path in sorted(folder.glob(f"*/{ABOUT}")):
        fields = json.loads(path.read_text())
        found.append(Run(**{**fields, "workdir": path.parent}))
    if not found:
        raise ValueError(f"--workdir={folder} has no runs of a sweep.")
    return found


def plan(
    folder: pathlib.Path,
    config_file: str,
    common: Mapping[str, str],
    points: Sequence[Mapping[str, str]],
) -> list[Run]:
    """Returns a run for each point; starts and writes nothing.

    Args:
      folder: for the workdirs.
      config_file: FILE or FILE:VARIANT.
      common: {field: value}, the same for all runs.
      points: {field: value} of each run, of `grid.multiply`.

    Raises:
      ValueError: naming everything that is wrong with fields and values.
    """
    twice = common.keys() & {field for point in points for field in point}
    if twice:
        raise ValueError(f"{', '.join(sorted(twice))} is swept, and set for all runs.")
    _check_values(config_file, [common, *points])
    configs = [_parse(config_file, {**common, **point}) for point in points]
    _check_ranges(configs)
    flat = [description.flatten(config.to_dict()) for config in configs]
    swept = [{f: values[f] for f in point} for point, values in zip(points, flat)]
    return [
        Run(
            workdir=folder / name,
            config_file=config_file,
            swept=of_run,
            overrides={field: values[field] for field in common} | of_run,
            config=json.loads(config.to_json()),
        )
        for name, of_run, values, config in zip(grid.names(swept), swept, flat, configs)
    ]


def _check_values(config_file: str, points: Sequence[Mapping[str, str]]) -> None:
    """Raises ValueError naming each unknown field, and each value of a wrong type."""
    problems = []
    for field, value in dict.fromkeys(item for p in points for item in p.items()):
        try:
            _parse(config_file, {field: value})
        except program.EXPECTED_OF_FLAGS as error:
            problems.append(f"{field}={value}: {program.message(error)}")
    if problems:
        raise ValueError("\n".join(problems))


def _check_ranges(configs: Sequence[config_dict.ConfigDict]) -> None:
    """Raises ValueError naming each value that its field may not have."""
    problems: dict[str, None] = {}  # each once, in order
    for config in configs:
        try:
            build.check(config)
        except ValueError as error:
            problems |= dict.fromkeys(str(error).splitlines())
    if problems:
        raise ValueError("\n".join(problems))


def _parse(config_file: str, fields: Mapping[str, str]) -> config_dict.ConfigDict:
    """Returns the config that experiments.train has with these flags."""
    given = [f"--config.{field}={value}" for field, value in fields.items()]
    argv = ["train", f"--config={config_file}", *given]
    own = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=own, sys_argv=argv)
    own(argv)
    config = own.config
    build.choose_length(config, fields)
    return config
