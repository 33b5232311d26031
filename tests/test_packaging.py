"""What pyproject.toml says of the package agrees with itself; .ci/packages builds it, installs it and predicts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


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
