"""What pyproject.toml says of the package agrees with itself; .ci/packages builds it, installs it and predicts."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import setuptools

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = SETTINGS["tool"]["setuptools"]["ext-modules"]


def named_by(extra: str) -> set[str]:
    """The extra and those that it brings, however deep."""
    inner = [re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", line) for line in EXTRAS[extra]]
    return {extra}.union(*(named_by(name) for found in inner if found for name in found[1].split(",")))


def test_the_extra_all_brings_every_extra_but_cuda() -> None:
    assert EXTRAS.keys() - named_by("all") == {"cuda"}


def test_the_classifiers_begin_with_the_oldest_python_that_is_allowed() -> None:
    minors = [int(found[1]) for line in PROJECT["classifiers"] if (found := re.search(r":: 3\.(\d+)$", line))]
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))


def test_the_installation_for_cpus_alone_names_every_dependency_but_the_wheel_for_gpus() -> None:
    (command,) = re.findall(
        r"^\$ pip install (cyclopts .*)", (ROOT / "docs/machines.md").read_text("utf-8"), re.MULTILINE
    )
    needed = {re.split(r"[<>=;]", line)[0].strip() for line in PROJECT["dependencies"]}
    assert set(shlex.split(command)) == needed - {"onnxruntime-gpu"}


def files(*suffixes: str) -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for package in ("zoo", "exporters", "runtimes")
        for path in (ROOT / package).rglob("*")
        if path.suffix in suffixes
    )


def test_every_c_file_is_compiled_into_one_module_and_every_header_has_it_built_anew() -> None:
    assert sorted(source for module in MODULES for source in module["sources"]) == files(".c")
    assert sorted(header for module in MODULES for header in module.get("depends", [])) == files(".h")


def test_a_module_reads_no_header_but_those_that_it_names() -> None:
    for module in MODULES:
        named = {Path(path).name for path in (*module["sources"], *module.get("depends", []))}
        for path in (*module["sources"], *module.get("depends", [])):
            read = set(re.findall(r'#include "(.+)"', (ROOT / path).read_text("utf-8")))
            assert read <= named, path


def test_every_compiled_module_is_optional_and_for_every_python() -> None:
    for module in MODULES:
        assert module["optional"], module["name"]
        assert module["py-limited-api"], module["name"]


def test_the_installed_packages_are_three_with_names_of_our_own() -> None:
    find = SETTINGS["tool"]["setuptools"]["packages"]["find"]
    packages = {
        name: ROOT / where / name.replace(".", "/")
        for where in find["where"]
        for name in setuptools.find_packages(str(ROOT / where), include=find["include"])
    }
    assert {name for name in packages if "." not in name} == {"zoo", "zoo_exporters", "zoo_runtimes"}
    assert all((folder / "py.typed").is_file() for name, folder in packages.items() if "." not in name)
    assert set(packages.values()) == {(ROOT / path).parent for path in files(".py") if path.endswith("/__init__.py")}
    assert {(ROOT / path).parent for path in files(".py")} == set(packages.values())


def test_every_pattern_of_package_data_finds_a_file() -> None:
    for pattern in SETTINGS["tool"]["setuptools"]["package-data"]["zoo"]:
        assert list((ROOT / "zoo").glob(pattern)), pattern
