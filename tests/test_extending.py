"""docs/extending.md: its package is taken from the page, installed, and passes the contract tests as it stands."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest

from zoo import registry

pytest.importorskip("torch")
pytest.importorskip("openvino")

ROOT = Path(__file__).parents[1]
PAGE = pages.files(ROOT / "docs" / "extending.md")
FILES = {name: text for name, text in PAGE.items() if not name.startswith("zoo/")}
"""Those of the package; the others are files of this repository."""

MOST_LINES = 40
"""Lines of code that a model needs beside its network, without imports, docstrings and comments."""

CONTRACTS = (
    "tests/models/test_contract.py",
    "tests/runtimes/test_contract.py",
    "tests/runtimes/test_runtimes.py",
    "tests/exporters/test_contract.py",
    "tests/checks/test_stored_keras_numbers.py",
    "tests/checks/test_parity.py",
    "tests/test_registry.py",
)
NEWCOMERS = ("openvino", "scanner", "npz")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package of the page is installed, as pip does it."""
    folder = tmp_path_factory.mktemp("zoo-extras")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    site = folder / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder)], check=True)
    home = {"ZOO_HOME": str(folder / "home")}
    paths = [site, ROOT, ROOT / "runtimes", ROOT / "exporters"]
    return {**os.environ, **home, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def zoo(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_page_has_all_files_and_each_is_short() -> None:
    assert len(FILES) == 5
    for name, text in FILES.items():
        assert text.count("\n") < 100, name


def test_the_worked_example_is_the_file_and_is_short() -> None:
    """Without imports, docstrings and the card, which is no code."""
    (name,) = PAGE.keys() - FILES.keys()
    text = (ROOT / name).read_text("utf-8")
    assert PAGE[name] == f"# {name}\n{text}"
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        described = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CARD"
        if (
            isinstance(node, ast.Import | ast.ImportFrom)
            or described
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ):
            left_out |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in left_out]
    assert len([line for line in lines if line and not line.startswith("#")]) <= MOST_LINES


def test_the_newcomers_are_listed_and_used_as_the_page_says(installed: dict[str, str], tmp_path: Path) -> None:
    listed = json.loads(zoo(installed, "list", "--json"))
    usable = {entry["name"] for entries in listed.values() for entry in entries if not entry["obstacle"]}
    assert {"openvino-cpu", "scanner", "npz"} <= usable
    assert any(entry["about"].endswith("not on keras-cpu, kmer-cpu") for entry in listed["models"])
    example = ROOT / "docs" / "example.fa"
    own, ours = (zoo(installed, "predict", "--runtime", name, example) for name in ("openvino-cpu", "onnx-cpu"))
    assert own.splitlines()[0] == ours.splitlines()[0]
    for left, right in zip(own.splitlines()[1:], ours.splitlines()[1:], strict=True):
        assert [float(x) for x in left.split("\t")[1:]] == pytest.approx(
            [float(x) for x in right.split("\t")[1:]], abs=1e-4
        )
    path = tmp_path / "original.npz"
    zoo(installed, "export", "original", "--format", "npz", "--compress", "-o", path)
    assert "deepstarr" in zoo(installed, "info", path)


@pytest.mark.slow
def test_the_contract_tests_pick_them_up_and_they_pass(installed: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CONTRACTS]
    result = subprocess.run(
        [*command, "-k", " or ".join(NEWCOMERS), "--junit-xml", f"{installed['ZOO_HOME']}.xml"],
        env=installed, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:]
    report = Path(f"{installed['ZOO_HOME']}.xml").read_text("utf-8")
    for name in NEWCOMERS:
        assert len(re.findall(rf'<testcase [^>]*name="[^"]*{name}', report)) >= 3, name


def test_they_are_not_there_without_the_package() -> None:
    names = {name for kind in registry.PACKAGES for name in registry.names(kind)}
    assert not names & set(NEWCOMERS)
