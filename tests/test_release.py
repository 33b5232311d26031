"""The files of a release agree with pyproject.toml on the version, Python, ruff and the dependencies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import zoo

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]

pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="an sdist does not hold these files")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def recipe() -> dict[str, Any]:
    """The conda recipe; what Jinja and selectors would decide is left as text."""
    lines = [line for line in text(".ci/conda/meta.yaml").splitlines() if not line.startswith("{%")]
    return yaml.safe_load(re.sub(r"\{\{ (.+?) \}\}", lambda found: found[1].replace('"', ""), "\n".join(lines)))


def steps() -> list[dict[str, Any]]:
    return [
        step for path in WORKFLOWS for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        for step in job["steps"]
    ]  # fmt: skip


def test_every_file_of_the_repositorys_host_is_valid_yaml() -> None:
    found = [*GITHUB.rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]
    assert len(found) > 7
    assert all(isinstance(yaml.safe_load(path.read_text("utf-8")), dict) for path in found)


def test_the_version_is_the_same_everywhere() -> None:
    released, date = re.findall(r"^## (\S+) \((.+)\)$", text("CHANGELOG.md"), re.MULTILINE)[0]
    citation = yaml.safe_load(text("CITATION.cff"))
    conda = re.findall(r'^{% set version = "(.+)" %}$', text(".ci/conda/meta.yaml"), re.MULTILINE)
    assert [released, citation["version"], *conda] == [zoo.__version__] * 3
    assert str(citation["date-released"]) == date


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    tests = yaml.safe_load((GITHUB / "workflows/tests.yml").read_text("utf-8"))["jobs"]
    assert tests["linux"]["strategy"]["matrix"]["python"] == PYTHONS
    assert tests["others"]["strategy"]["matrix"]["python"] == [OLDEST, NEWEST]
    named = [step["with"]["python-version"].split() for step in steps() if "setup-python" in step.get("uses", "")]
    assert [one for one in named if one[0] not in ("${{", NEWEST)] == [PYTHONS]
    assert set(re.findall(r"^FROM python:([\d.]+)", text("Dockerfile"), re.MULTILINE)) == {NEWEST}
    oldest = OLDEST.replace(".", "")
    assert f"[py < {oldest}]" in text(".ci/conda/meta.yaml")
    assert SETTINGS["tool"]["ruff"]["target-version"] == f"py{oldest}"
    assert SETTINGS["tool"]["cibuildwheel"]["build"] == f"cp{oldest}-*"
    assert SETTINGS["tool"]["distutils"]["bdist_wheel"]["py-limited-api"] == f"cp{oldest}"


def test_ruff_before_a_commit_is_the_one_of_make_lint() -> None:
    pinned = re.findall(r"^ruff==(.+)$", text("constraints.txt"), re.MULTILINE)
    (repo,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repo["repo"].endswith("/ruff-pre-commit")
    assert [repo["rev"]] == [f"v{version}" for version in pinned]


def test_the_conda_package_needs_what_the_wheel_needs() -> None:
    """Except that one package of ONNX Runtime is for all machines, and that conda knows no extras."""
    wanted = {re.sub(r"\[.+\]", "", line.partition(";")[0].strip()) for line in PROJECT["dependencies"]}
    host, run = ([line.replace(" ", "") for line in recipe()["requirements"][name]] for name in ("host", "run"))
    needed = set(run)
    assert needed - wanted == {"python", "backports.zstd"}
    assert {re.sub("[<>=].*", "", line) for line in wanted - needed} == {"onnxruntime-gpu"}
    assert host == ["python", "pip", *SETTINGS["build-system"]["requires"]]
    assert recipe()["build"]["entry_points"] == [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert recipe()["about"]["summary"] == PROJECT["description"]
    assert recipe()["about"]["license"] == PROJECT["license"]


def test_the_workflows_run_what_there_is() -> None:
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), re.MULTILINE))
    commands = "\n".join(step.get("run", "") for step in steps())
    called = re.findall(r"\bmake ([\w-]+)", commands)
    assert {"docs", "lint"} <= {*called} <= targets
    assert ".ci/run" in commands
    assert all((ROOT / name).is_file() for name in re.findall(r"\.ci/\w+", commands))


def test_the_image_gets_all_that_the_wheel_is_made_of() -> None:
    kept = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    where = SETTINGS["tool"]["setuptools"]["packages"]["find"]["where"]
    needed = {"zoo", *where, *PROJECT["license-files"], PROJECT["readme"], "pyproject.toml", "MANIFEST.in"} - {"."}
    assert kept == needed


@pytest.mark.parametrize("path", sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml")), ids=lambda path: path.name)
def test_a_form_has_a_label_for_each_field(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    for field in form.get("body", ()):
        assert field["type"] == "markdown" or (field["id"] and field["attributes"]["label"])
