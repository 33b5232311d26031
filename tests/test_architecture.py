"""The rooms and the arrows between them, read from the imports: see ARCHITECTURE.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("zoo", "exporters", "runtimes")

HEAVY = {
    "h5py", "matplotlib", "onnx", "onnxruntime", "pandas", "pooch", "pyarrow", "rich", "scipy", "tensorflow",
    "tf_keras", "torch",
}  # fmt: skip
"""Libraries that a file imports when it needs them, inside a function."""

LAYERS = (
    {"zoo.errors"},
    {"zoo.spec"},
    {"zoo.encoding", "zoo.registry", "zoo.session", "zoo.parity"},
    {"zoo.sequences", "zoo.checkpoint", "zoo.keras_weights", "zoo.models", "zoo.dataset"},
    {"zoo.predict", "zoo.train", "zoo.evaluate"},
)
"""Each layer may import itself and those above it in this list, by whatever way through other files."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}


def imports(path: Path, top_level: bool) -> Iterator[str]:
    """Names of imported modules: those of the top level alone, or all except what only a type checker reads."""
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (name if (name := f"{module}.{alias.name}") in FILES else module for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif not (top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            nodes += ast.iter_child_nodes(node)


EVERY_IMPORT = {name: {found for found in imports(path, top_level=False) if found} for name, path in FILES.items()}
OWN_IMPORTS = {name: {found for found in found_in if found in FILES} for name, found_in in EVERY_IMPORT.items()}


def reachable(name: str, by: dict[str, set[str]]) -> set[str]:
    """All files of ours that come with `name`, by the imports of each."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for other in (by[todo.pop()] & FILES.keys()) - found:
            found.add(other)
            todo.append(other)
    return found


def test_there_is_something_to_look_at() -> None:
    assert {"zoo.cli", "zoo.commands.predict", "runtimes.onnx", "exporters.onnx"} <= FILES.keys()
    assert "zoo.errors" in OWN_IMPORTS["zoo.spec"]


def test_no_circle() -> None:
    # a package looks its own modules up when they are asked for; that they know the package is no circle
    edges = {
        name: {other for other in found if not name.startswith(f"{other}.")} for name, found in OWN_IMPORTS.items()
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_the_arrows_run_one_way(number: int) -> None:
    later = set().union(*LAYERS[number + 1 :])
    for name in FILES:
        if any(name == member or name.startswith(f"{member}.") for member in LAYERS[number]):
            turned_back = reachable(name, OWN_IMPORTS) & later
            assert not turned_back, f"{name} must not depend on {sorted(turned_back)}"


@pytest.mark.parametrize("room", ["exporters", "runtimes"])
def test_runtimes_and_exporters_are_asked_for_by_name(room: str) -> None:
    for name, found in EVERY_IMPORT.items():
        allowed = name == room or name.startswith("zoo.commands.")
        if not allowed:
            wrong = {other for other in found if other.split(".")[0] == room}
            assert not wrong, f"{name} imports {sorted(wrong)}; ask zoo.registry for it"


def test_only_the_command_line_imports_commands() -> None:
    for name, found in OWN_IMPORTS.items():
        if name != "zoo.cli" and not name.startswith("zoo.commands"):
            wrong = {other for other in found if other.startswith(("zoo.commands", "zoo.cli"))}
            assert not wrong or name == "zoo.__main__", f"{name} imports {sorted(wrong)}"


AT_THE_TOP = {name: set(imports(path, top_level=True)) for name, path in FILES.items()}


@pytest.mark.parametrize("name", sorted(FILES))
def test_heavy_libraries_are_imported_where_they_are_needed(name: str) -> None:
    # networks and what trains them are PyTorch from top to bottom; the next test keeps them apart from the rest
    heavy = {found.split(".")[0] for found in AT_THE_TOP[name]} & HEAVY - {"torch"}
    assert not heavy, f"{name} imports {sorted(heavy)} at its top"


def test_what_the_base_install_runs_draws_in_no_pytorch() -> None:
    training = {"zoo.train"}
    base = set().union(*LAYERS) - training
    for name in FILES:
        if name in base or name.split(".")[0] != "zoo" or name.startswith(("zoo.cli", "zoo.commands")):
            for other in {name, *reachable(name, AT_THE_TOP)}:
                assert "torch" not in {found.split(".")[0] for found in AT_THE_TOP[other]}, f"{name} by way of {other}"


def test_no_file_is_a_drawer_for_everything() -> None:
    assert not [name for name in FILES if name.split(".")[-1] in ("utils", "helpers", "common", "misc")]


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv[0] = 'zoo'\n"
        "from zoo import cli\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY | {'numpy'}!r}), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stderr.strip() == "[]"
    assert result.stdout


def test_import_zoo_imports_nothing_heavy() -> None:
    program = "import sys, zoo; print(sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & set(ast.literal_eval(result.stdout))
