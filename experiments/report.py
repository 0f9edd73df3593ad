"""Pictures of a finished or running run: WORKDIR/report/index.md.

    python -m experiments.report --workdir=/tmp/digits
    python -m experiments.report --workdir=/tmp/flow --step=best

For tasks imagenet and optical_flow.
"""

import importlib
import importlib.util
import pathlib
from collections.abc import Sequence

import matplotlib

from experiments import restore
from experiments.reporting import Report


def write_index(path: pathlib.Path, checkpoint: pathlib.Path, report: Report) -> None:
    """Writes the page that shows the pictures."""
    lines = [f"# Step {checkpoint.name} of {checkpoint.parent.parent}", ""]
    lines += ["| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in report.metrics.items()]
    lines += [""] if report.protocol else []
    lines += [f"- {name}: {value}" for name, value in report.protocol.items()]
    for title, file, caption in report.sections:
        lines += ["", f"## {title}", "", caption, "", f"![{title}]({file})"]
    path.write_text("\n".join(lines) + "\n")


def main(restored: restore.Restored, arguments: Sequence[str]) -> None:
    """Writes WORKDIR/report."""
    restore.no_arguments(arguments)
    name = f"experiments.{restored.config.task}.report"
    if importlib.util.find_spec(name) is None:
        raise ValueError(
            f"{restored.folder} is of task '{restored.config.task}', which has no "
            f"report: there is no {name}."
        )
    matplotlib.use("Agg")
    workdir = restored.folder.parent.parent
    folder = workdir / "report"
    folder.mkdir(exist_ok=True)
    report = importlib.import_module(name).make_report(restored, workdir, folder)
    write_index(folder / "index.md", restored.folder, report)
    print(f"Report: {folder / 'index.md'}")


if __name__ == "__main__":
    restore.run(main)
