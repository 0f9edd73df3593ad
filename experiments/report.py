"""Pictures of a finished or running run: WORKDIR/report/index.md.

    python -m experiments.report --workdir=/tmp/digits
    python -m experiments.report --workdir=/tmp/flow --step=best

Run again, it replaces what it wrote there.
"""

import pathlib
from collections.abc import Sequence

import matplotlib

from experiments import build, restore
from experiments.reporting import Report


def write_index(path: pathlib.Path, checkpoint: pathlib.Path, report: Report) -> None:
    """Writes the page that shows the pictures."""
    lines = [f"# Step {checkpoint.name} of {checkpoint.parent.parent}", ""]
    lines += ["| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in report.metrics.items()]
    lines += [""] if report.protocol else []
    lines += [f"- {name}: {value}" for name, value in report.protocol.items()]
    for section in report.sections:
        lines += ["", f"## {section.title}", "", section.caption, "", section.body]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(restored: restore.Restored, _: Sequence[str] = ()) -> None:
    """Writes WORKDIR/report."""
    module = build.find(restored.config, "report")
    matplotlib.use("Agg")
    folder = restored.workdir / "report"
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{folder} is a file: remove it, the report is a folder there."
        )
    folder.mkdir(exist_ok=True)
    report = module.make_report(restored, folder)
    write_index(folder / "index.md", restored.folder, report)
    print(f"Report: {folder / 'index.md'}")


if __name__ == "__main__":
    restore.run(main)
