"""The shape of files: what each begins with, how long it is, where its tests are."""

import ast
import functools
import pathlib

import pytest
from programs import ROOT

MAX_LINES = 320
MAX_TEST_LINES = 350
MAX_FUNCTION_LINES = 60

FOLDERS = ("perceiver_jax", "experiments", "scripts", "configs", "benchmarks")
CODE = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TESTED = [
    path
    for path in CODE
    if path.relative_to(ROOT).parts[0] in FOLDERS[:3] and path.name != "__init__.py"
]


def identify(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


each_module = pytest.mark.parametrize("path", TESTED, ids=identify)
each_test = pytest.mark.parametrize(
    "path", [path for path in TESTS if path.name.startswith("test_")], ids=identify
)


@functools.cache
def parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions(path: pathlib.Path) -> list[ast.FunctionDef]:
    found = (node for node in ast.walk(parse(path)))
    return [node for node in found if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", [*CODE, *TESTS], ids=identify)
def test_files_say_what_they_are_and_are_not_long(path):
    assert ast.get_docstring(parse(path))
    limit = MAX_TEST_LINES if path in TESTS else MAX_LINES
    assert len(path.read_text().splitlines()) <= limit


@pytest.mark.parametrize("path", CODE, ids=identify)
def test_functions_are_not_long(path):
    long = [
        function.name
        for function in functions(path)
        if function.end_lineno - function.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


@each_module
def test_every_module_has_a_test_file_of_its_name(path):
    parts = path.relative_to(ROOT).parts
    places = [parts[1:-1] if parts[0] == "perceiver_jax" else parts[:-1]]
    if parts[:-1] == ("experiments",):
        places.append(("programs",))  # where it is one
    tests = [ROOT.joinpath("tests", *place, f"test_{path.name}") for place in places]
    assert any(test.exists() for test in tests), f"no {identify(tests[0])}"


# Every test asserts something, and none is skipped.


def asserts(node: ast.AST, helpers: set[str]) -> bool:
    """Whether a function asserts by itself, or by one of the helpers."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            return True
        if isinstance(part, ast.Attribute | ast.Name):
            name = ast.unparse(part).rpartition(".")[2]
            if name == "raises" or name.startswith("assert_") or name in helpers:
                return True
    return False


@functools.cache
def asserting_helpers() -> set[str]:
    """Functions of tests, but no tests, that assert something."""
    found = [function for path in TESTS for function in functions(path)]
    found = [function for function in found if not function.name.startswith("test_")]
    helpers: set[str] = set()
    for _ in range(3):  # helpers that call helpers
        helpers |= {function.name for function in found if asserts(function, helpers)}
    return helpers


@each_test
def test_every_test_asserts_something(path):
    tests = [node for node in functions(path) if node.name.startswith("test_")]
    assert tests
    empty = [test.name for test in tests if not asserts(test, asserting_helpers())]
    assert not empty


@each_test
def test_no_test_is_skipped(path):
    found = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Attribute)]
    words = {ast.unparse(node).removeprefix("pytest.") for node in found}
    assert not words & {
        "skip",
        "importorskip",
        "mark.skip",
        "mark.skipif",
        "mark.xfail",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_a():\n    f()", False),
        ("def test_a():\n    assert f()", True),
        ("def test_a():\n    with pytest.raises(ValueError): f()", True),
        ("def test_a():\n    np.testing.assert_array_equal(1, 1)", True),
        ("def test_a():\n    jax.tree.map(np.testing.assert_allclose, a, b)", True),
        ("def test_a():\n    helper(1)", True),
    ],
)
def test_asserts_are_found(text, expected):
    assert asserts(ast.parse(text), {"helper"}) == expected
