"""Looks at one step of training again: WORKDIR/replay/step_K/index.md.

    python -m experiments.replay --workdir=/tmp/digits --step=120
    python -m experiments.replay --workdir=/tmp/digits --step=120 \
        --config.precision=params=float32,compute=float32,output=float32

Step K is the update that the log calls step K. What a batch holds is a function of the
seed and the step, so nothing needs to be kept for it: the newest checkpoint before the
step is restored, or the run begun again where there is none, the steps between are
taken once more, and step K is taken apart. It tells the gradient of each layer, the
loss of each example and its name, and who is to blame for what is not finite. Nothing
of the run is changed.

On other devices than the run's the numbers are the same but for rounding. On several
hosts it is started on each of them, as training is.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import app
from ml_collections import config_dict
from PIL import Image

from experiments import program, replaying, restore
from experiments.report import write_index
from experiments.reporting import Report, Section, table
from perceiver_jax.cluster import processes
from perceiver_jax.engine import evaluation, findings, writer
from perceiver_jax.engine.checkpoints import description

LISTED = 64  # examples on the page; the record has all
LAYER_CAPTION = (
    "Norms: of the parameters before the step, of the gradient before it is clipped, "
    "and of what the optimizer adds to the parameters for one of them."
)


def tell(
    replayed: replaying.Replayed, config: config_dict.ConfigDict, workdir: pathlib.Path
) -> dict[str, str]:
    """Returns how a step was reached: from where, on what, with what other config."""
    changed = description.changes(
        description.read(workdir)["config"], json.loads(config.to_json())
    )
    start = f"checkpoint {replayed.start}" if replayed.start else "the run's start"
    return {
        "reached from": start,
        "steps taken again": str(replayed.step - 1 - replayed.start),
        "devices": f"{jax.device_count()} {jax.devices()[0].device_kind}",
        **{f"config.{field}": str(now) for field, (_, now) in changed.items()},
    }


def write(
    replayed: replaying.Replayed, workdir: pathlib.Path, about: Mapping[str, str]
) -> pathlib.Path:
    """Writes index.md, record.json and the pictures of a step; returns the page.

    Args:
      replayed: the step.
      workdir: of the run.
      about: how it was reached.
    """
    folder = workdir / "replay" / f"step_{replayed.step}"
    folder.mkdir(parents=True, exist_ok=True)
    found, verdict = replayed.found, findings.verdict(replayed.found)
    record = {
        "step": replayed.step,
        "verdict": verdict,
        "guilty": [example.name for example in found.guilty],
        **about,
        "metrics": found.metrics,
        "examples": [example._asdict() for example in found.examples],
        "layers": [layer._asdict() for layer in found.layers],
    }
    (folder / "record.json").write_text(json.dumps(_strict(record), indent=1) + "\n")
    sections = [
        Section("What was found", " ".join(verdict), ""),
        _examples_section(found),
        _layers_section(found),
    ]
    shown = f"Of the first {evaluation.MAX_SHOWN} examples above."
    for name, picture in replayed.samples.pictures.items():
        file = f"{name.replace('/', '_')}.png"
        Image.fromarray(picture).save(folder / file)
        sections.append(Section.of_picture(name.partition("/")[2], file, shown))
    for name, text in replayed.samples.texts.items():
        sections.append(Section(name.partition("/")[2], shown, text))
    page = folder / "index.md"
    title = workdir / "checkpoints" / str(replayed.step)
    write_index(page, title, Report(found.metrics, sections, about))
    return page


def _examples_section(found: findings.Found) -> Section:
    names = sorted({name for e in found.examples for name in e.metrics} - {"loss"})
    alone = any(e.alone for e in found.examples)
    header = ["row", "example", "loss", *names]
    header += ["loss alone", "gradient norm alone"] if alone else []
    rows = []
    for e in found.examples[:LISTED]:
        numbers = [e.metrics.get(name) for name in ("loss", *names)]
        numbers += [e.alone.get(k) for k in ("loss", "grad_norm")] if alone else []
        rows.append(
            (e.row, e.name, *("" if n is None else f"{n:.4g}" for n in numbers))
        )
    caption = (
        f"What is not finite comes first, then the largest loss. {len(rows)} of "
        f"{len(found.examples)}; record.json has all."
    )
    return Section("Examples", caption, table(header, rows))


def _layers_section(found: findings.Found) -> Section:
    header = ("layer", "parameters", "gradient", "update", "update / parameters")
    rows = []
    for layer in found.layers:
        numbers = [layer.parameter, layer.gradient, layer.update]
        if layer.parameter:
            numbers.append(layer.update / layer.parameter)
        rows.append((layer.title, *(f"{n:.3g}" for n in numbers)))
    return Section("Layers", LAYER_CAPTION, table(header, rows))


def _strict(value: Any) -> Any:
    """Numbers that JSON does not have, as texts: "nan", "inf"."""
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


# The program.


def load_config() -> config_dict.ConfigDict | None:
    """Returns the config that the run of --workdir was last started with."""
    if not restore.WORKDIR.value:
        return None
    about = description.read(pathlib.Path(restore.WORKDIR.value))
    return config_dict.ConfigDict(restore.tuples(about["config"]))


class _Program:
    """The program between its flags and its work."""

    config: config_dict.ConfigDict | None = None

    def parse(self, argv: Sequence[str]) -> list[str]:
        """Parses all flags; the config's are those of the run."""
        rest, self.config = restore.parse_flags(argv, load_config)
        return rest

    def start(self, _: Sequence[str]) -> None:
        """Takes the step apart and writes it down."""
        if self.config is None or not restore.WORKDIR.value:
            raise app.UsageError("--workdir=DIR is missing: the folder of a run.")
        if not restore.STEP.value.isdigit():
            raise app.UsageError("--step=K is missing: the number of a step.")
        processes.start()
        writer.log_to_console()
        workdir = pathlib.Path(restore.WORKDIR.value).absolute()
        replayed = replaying.look_at(self.config, workdir, int(restore.STEP.value))
        if jax.process_index() > 0:
            return
        page = write(replayed, workdir, tell(replayed, self.config, workdir))
        print(*findings.verdict(replayed.found), f"Replay: {page}", sep="\n")


if __name__ == "__main__":
    program.in_help(restore.WORKDIR.name, restore.STEP.name)
    main = _Program()
    program.run(main.start, main.parse)
