"""The arrows between the parts of the code, read from its import statements."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest
from programs import ROOT, environment

FOLDERS = ("perceiver_jax", "configs", "experiments", "scripts", "benchmarks", "tests")
OURS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
IMPORTABLE = [p for p in OURS if p.relative_to(ROOT).parts[0] in FOLDERS[:3]]

TASKS = sorted(p.parent.name for p in ROOT.glob("experiments/*/task.py"))
LIBRARY = "perceiver_jax"
ROOMS = ("model", "data", "cluster", "engine", "pretrained")
# The engine stands on what makes several processes one run.
BELOW = {"engine": ["cluster"]}
# Of another task, with the reason: what its README says.
BORROWED = {"glue": ["experiments.masked_lm"]}

# The parts of a model, each of which may import those before it.
PARTS = [
    f"perceiver_jax.model.{name}"
    for name in (
        "parameters",
        "chunks",
        "spread",
        "stack",
        "kernel",
        "attention",
        "position",
    )
]

# (files, what they may not import, except)
FORBIDDEN = [
    (f"{LIBRARY}/**/*.py", [*FOLDERS[1:]], []),
    *(
        (
            f"{LIBRARY}/{room}/**/*.py",
            [LIBRARY],
            [f"{LIBRARY}.{part}" for part in (room, "extras", *BELOW.get(room, []))],
        )
        for room in ROOMS
    ),
    (f"{LIBRARY}/data/**/*.py", ["jax", "jaxlib", "haiku", "optax", "orbax"], []),
    *(
        (f"{part.replace('.', '/')}.py", ["perceiver_jax"], PARTS[:number])
        for number, part in enumerate(PARTS)
    ),
    ("experiments/**/*.py", ["configs", "scripts", "benchmarks", "tests"], []),
    # Programs, and what tasks share, know no task by name; nor do scripts.
    *(
        (files, [f"experiments.{task}" for task in TASKS], [])
        for files in ("experiments/*.py", "scripts/*.py")
    ),
    *(
        (
            f"experiments/{task}/*.py",
            [f"experiments.{other}" for other in TASKS if other != task],
            BORROWED.get(task, []),
        )
        for task in TASKS
    ),
]


def identify(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: pathlib.Path) -> set[str]:
    """What a file imports, wherever in it: `from a import b` is "a.b"."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import, line {node.lineno}"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_in(name: str, packages: list[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(("files", "forbidden", "allowed"), FORBIDDEN)
def test_arrows_point_one_way(files, forbidden, allowed):
    paths = list(ROOT.glob(files))
    assert paths
    against = [
        f"{identify(path)} imports {name}"
        for path in paths
        for name in sorted(imports(path))
        if is_in(name, forbidden) and not is_in(name, allowed)
    ]
    assert not against


def test_configs_are_numbers_only():
    for path in ROOT.glob("configs/*.py"):
        for name in imports(path):
            assert is_in(name, ["ml_collections", "configs"]), path


def test_imports_are_read_from_every_statement(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("import a.b as c\ndef f():\n    from d.e import g, h\n")
    assert imports(path) == {"a.b", "d.e.g", "d.e.h"}
    assert is_in("a.b", ["a"]) and not is_in("ab.c", ["a"])


def defines_flags(path: pathlib.Path) -> bool:
    return any(name.startswith("absl.flags") for name in imports(path))


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    "path", [p for p in IMPORTABLE if not defines_flags(p)], ids=identify
)
def test_modules_can_be_imported(path):
    assert importlib.import_module(module_name(path)).__name__ == module_name(path)


# Each in a process of its own, as programs run: two may define the same flag.
@pytest.mark.parametrize(
    "path",
    [p for p in OURS if defines_flags(p) and "tests" not in identify(p)],
    ids=identify,
)
def test_programs_show_their_help(path):
    done = subprocess.run(
        [sys.executable, "-m", module_name(path), "--help"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
