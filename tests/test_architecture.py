"""The rooms and the arrows between them, read from the imports: see ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from zoo import registry
from zoo.card import SPECIES
from zoo.weights import lookup, model_arrays

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "exporters/zoo_exporters", "runtimes/zoo_runtimes")

GROUND = "zoo"
"""The files of zoo/ itself, which every room may import."""

ARROWS: dict[str, tuple[str, ...]] = {
    "zoo": (),
    "zoo.system": (),
    "zoo.dna": (),
    "zoo.formats": ("zoo.dna", "zoo.system"),
    "zoo.layers": (),
    "zoo.weights": ("zoo.layers", "zoo.system"),
    "zoo.contracts": ("zoo.layers", "zoo.weights"),
    "zoo.models": ("zoo.layers", "zoo.formats", "zoo.weights", "zoo.system"),
    "zoo.prediction": ("zoo.contracts", "zoo.formats", "zoo.dna", "zoo.weights", "zoo.system"),
    "zoo.genome": ("zoo.prediction",),
    "zoo.explain": ("zoo.genome",),
    "zoo.motifs": ("zoo.explain",),
    "zoo.design": ("zoo.prediction",),
    "zoo.serve": ("zoo.design", "zoo.explain"),
    "zoo.data": ("zoo.formats", "zoo.dna", "zoo.weights"),
    "zoo.evaluation": ("zoo.genome", "zoo.data"),
    "zoo.training": ("zoo.evaluation", "zoo.data", "zoo.prediction"),
    "zoo.checks": ("zoo.genome",),
    "zoo.confidence": ("zoo.evaluation",),
    "zoo.comparison": ("zoo.training", "zoo.checks"),
    "zoo.search": ("zoo.comparison",),
    "zoo.publish": ("zoo.checks",),
    "zoo.experiments": ("zoo.motifs", "zoo.evaluation"),
    "zoo.cli": (
        "zoo.confidence",
        "zoo.serve",
        "zoo.search",
        "zoo.checks",
        "zoo.publish",
        "zoo.experiments",
        "zoo.training",
        "zoo.evaluation",
    ),
    "zoo_runtimes": ("zoo.contracts", "zoo.dna", "zoo.layers", "zoo.weights", "zoo.system"),
    "zoo_exporters": ("zoo.contracts", "zoo.dna", "zoo.layers", "zoo.weights", "zoo.system"),
}
"""Room -> the rooms that it may import, and with each of them all that lies below it."""

START = {"zoo", "zoo.__main__"}
"""Files of the ground that hand out what other rooms have: the public names and the command."""

HEAVY = {
    "h5py",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "pyBigWig",
    "pysam",
    "ray",
    "rich",
    "scipy",
    "torch",
} | {library for module in registry.working("runtimes").values() for library in getattr(module, "LIBRARIES", ())}
"""Libraries that a file imports when it needs them, inside a function."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "zoo" else parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}

SUFFIXES = {".py", ".pyi", ".c", ".h", ".js", ".html"}
"""Suffixes of the files that people write and read."""

SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in SUFFIXES]


def room(name: str) -> str:
    """ "zoo.models.deepstarr.trunk" -> "zoo.models"."""
    if name.split(".")[0] != "zoo":
        return name.split(".")[0]
    candidate = ".".join(name.split(".")[:2])
    return candidate if candidate in ARROWS else GROUND


def below(name: str) -> set[str]:
    """All rooms that a room may import."""
    return {GROUND, name}.union(*(below(other) for other in ARROWS[name]))


def imports(path: Path, at_start: bool) -> Iterator[str]:
    """Names of imported modules: all of them, or those that importing the file imports at once."""
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (name if (name := f"{module}.{alias.name}") in FILES else module for alias in node.names)
        elif at_start and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif not (at_start and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            nodes += ast.iter_child_nodes(node)


OWN_IMPORTS = {name: set(imports(path, at_start=False)) & FILES.keys() for name, path in FILES.items()}
"""File -> files of ours that it imports anywhere, for type checkers too."""

START_IMPORTS = {name: set(imports(path, at_start=True)) for name, path in FILES.items()}
"""File -> modules, ours and others, that are imported as soon as it is."""


def reachable(name: str) -> set[str]:
    """A file and all files of ours that importing it imports at once."""
    found: set[str] = set()
    todo = {name}
    while todo:
        found |= todo
        todo = set().union(*(START_IMPORTS[one] for one in todo)) & FILES.keys() - found
    return found


def data(path: Path) -> tuple[set[str], set[str]]:
    """Identifiers and modules, and the strings that are data, of a file.

    Docstrings, the help below a field and the messages of errors and warnings may name a model as an example.
    """
    identifiers: set[str] = set()
    strings: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        warns = isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
        if documents or warns or isinstance(node, ast.Raise):
            continue
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(word := getattr(node, field, None), str):
                identifiers.add(word)
        nodes += ast.iter_child_nodes(node)
    return identifiers, strings


def test_the_files_are_found() -> None:
    assert {"zoo.cli.main", "zoo.cli.commands.predict", "zoo_runtimes.onnx", "zoo_exporters.onnx"} <= FILES.keys()
    assert "zoo.errors" in OWN_IMPORTS["zoo.spec"]
    assert {room(name) for name in FILES} == set(ARROWS)


def test_the_top_folder_holds_few_files() -> None:
    assert len(list((ROOT / "zoo").glob("*.py"))) <= 10


def test_no_two_files_import_each_other() -> None:
    """Neither directly nor through others, and not for type checkers either."""
    # a package imports its own modules when a name is asked for; a module that imports its package closes no circle
    edges = {
        name: {other for other in found if not name.startswith(f"{other}.") and other != name}
        for name, found in OWN_IMPORTS.items()
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("name", sorted(FILES.keys() - START))
def test_the_arrows_run_one_way(name: str) -> None:
    wrong = {other for other in OWN_IMPORTS[name] if room(other) not in below(room(name))}
    assert not wrong, f"{name} is in {room(name)} and must not import {sorted(wrong)}"


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_plug_ins_are_asked_for_by_name(kind: str) -> None:
    package = registry.PACKAGES[kind]
    for name, found in OWN_IMPORTS.items():
        for other in found:
            # a file whose name begins with "_" is shared by plug-ins
            if not other.startswith(f"{package}.") or other.startswith(f"{package}._"):
                continue
            plugin = ".".join(other.split(".")[: package.count(".") + 2])
            own = name == plugin or name.startswith(f"{plugin}.")
            assert own, f"{name} imports {other}; ask zoo.registry for it"


def words_of(name: str) -> re.Pattern[str]:
    """A pattern for what belongs to one model: its name, its arrays, its published files and columns."""
    module = registry.load("models", name)
    published = getattr(module, "PUBLISHED", None)
    files = [*published.weights.md5, *published.data.md5, *published.columns.values()] if published else []
    arrays = [array for config in module.VARIANTS.values() for array in model_arrays.shapes(name, config)]
    words = sorted({re.escape(word) for word in (*files, *arrays)})
    return re.compile("|".join([rf"(?i:\b{name}\b)", *(rf"\b{word}\b" for word in words)]))


@pytest.mark.parametrize("model", registry.names("models"))
def test_no_code_outside_a_models_folder_names_what_is_the_models(model: str) -> None:
    pattern = words_of(model)
    for name in FILES.keys() - START:
        if room(name) != "zoo.models":  # arrays of two models may have one name; no model imports another one
            words = [re.sub(r"deepstarr[-_]zoo", "", word) for word in set().union(*data(FILES[name]))]
            assert not [word for word in words if pattern.search(word)], name


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"zoo.defaults"}))
def test_no_data_outside_a_models_folder_has_the_name_of_a_variant(name: str) -> None:
    variants = {
        one for one, architecture in lookup.variants().items() if not name.startswith(f"zoo.models.{architecture}")
    }
    pattern = re.compile(rf"\b({'|'.join(variants - set(SPECIES))})\b")  # a network may be named after a species
    assert not [text for text in data(FILES[name])[1] if pattern.search(text)]


@pytest.mark.parametrize("name", sorted(FILES))
def test_heavy_libraries_are_imported_where_they_are_needed(name: str) -> None:
    # networks and what trains them need PyTorch throughout; the next test separates them from the rest
    heavy = {found.split(".")[0] for found in START_IMPORTS[name]} & HEAVY - {"torch"}
    assert not heavy, f"{name} imports {sorted(heavy)} at its top"


WITH_PYTORCH = {
    "zoo.layers.batch_norm",
    "zoo.layers.flanks",
    "zoo.training.trainer",
    "zoo.training.trainable",
    "zoo.training.cross_validation",
    "zoo.training.losses",
    "zoo.training.optimizer",
    "zoo.training.profile_loss",
    "zoo.training.scores",
    "zoo.training.notes",
    "zoo.training.run",
    "zoo.training.distributed",
    "zoo.comparison.contenders",
    "zoo.comparison.run",
    "zoo.search.trial",
    "zoo.search.confirm",
    "zoo.search.report",
    "zoo.search.run",
    "zoo_runtimes._deeplift_rules",
}
"""Files outside the models that need PyTorch throughout; all others import it inside the function that needs it."""


def test_the_base_install_runs_without_pytorch() -> None:
    for name in FILES.keys() - WITH_PYTORCH:
        if room(name) != "zoo.models" or name in {f"zoo.models.{model}" for model in registry.names("models")}:
            for other in reachable(name):
                assert "torch" not in {found.split(".")[0] for found in START_IMPORTS[other]}, f"{name} imports {other}"


def test_no_file_is_a_drawer_for_everything() -> None:
    assert not [name for name in FILES if name.split(".")[-1] in ("utils", "helpers", "common", "misc")]
    assert {path.suffix for path in SOURCES} == SUFFIXES


def test_every_file_says_what_it_is() -> None:
    for name, path in FILES.items():
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), name
    for path in SOURCES:
        opening = {".pyi": "# ", ".c": "/* ", ".h": "/* ", ".js": "// "}.get(path.suffix, "")
        assert path.read_text("utf-8").startswith(opening), path


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    # cyclopts measures the terminal with rich; what trains describes arrays, so that NumPy comes with it
    heavy = HEAVY - {"rich"} | ({"numpy"} if "train" not in arguments else set())
    program = (
        "import sys; sys.argv[0] = 'zoo'\n"
        "from zoo.cli import main\n"
        "try:\n    main.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {heavy!r}), file=sys.stderr)"
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
