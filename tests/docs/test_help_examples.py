"""The examples of every help screen: each parses, and those that take seconds run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pages
import pytest
from command_line import Zoo

from zoo.cli import main, parsing
from zoo.cli.commands import COMMANDS

TEXTS = [text for commands in COMMANDS.values() for text in commands.values()]
EXAMPLES = [line.strip() for text in TEXTS for line in text.splitlines() if line.strip().startswith("zoo ")]

RUN = ("predict", "variants", "scan", "explain", "design", "export", "info", "list", "evaluate", "doctor")
"""Commands whose examples take seconds with the files of the fixture `reader`."""

MADE_BY_OTHERS = ("mine.safetensors", "runs/mine", "explained")
"""What another command writes first."""


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_parses(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text("[model]\ndense_units = [8]\n[train]\nepochs = 1\n")
    words = parsing.full_forms(shlex.split(example)[1:])
    command, bound, _ = main.app.parse_args(words, exit_on_error=False, print_error=False)
    assert command.__name__.rstrip("_").replace("_", "-") == words[0]
    assert bound.arguments or len(words) == 1


@pytest.mark.parametrize("name", RUN)
def test_the_examples_of_a_command_run(name: str, reader: Path, zoo: Zoo) -> None:  # noqa: ARG001
    examples = [words for words in map(shlex.split, EXAMPLES) if words[1] == name and not {*words} & {*MADE_BY_OTHERS}]
    assert examples
    for words in examples:
        status, _, err = zoo(*words[1:])
        assert status == 0, f"{shlex.join(words)}\n{err}"


@pytest.mark.parametrize("text", TEXTS)
def test_a_help_has_one_line_examples_and_a_page(text: str) -> None:
    first, *rest = [line.strip() for line in text.splitlines()]
    assert len(first) <= 100
    assert 1 <= sum(line.startswith("zoo ") for line in rest) <= 3
    assert (pages.ROOT / rest[-1]).is_file()
