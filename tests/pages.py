"""The code blocks of README.md and docs/, and how to run them as a reader would.

    ```sh       commands, run line by line
    ```python   a program, which continues the Python blocks before it
    ```...      a block in any language whose first line is a comment with a file name is that file
    ```console  shown but not run, since it needs a network, a GPU or several machines

A new page in docs/ is tested automatically; the fixture `reader` of tests/docs/conftest.py makes the files that its
blocks need.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.\w+)\n")
_HERE = re.compile(r"<<'?(\w+)")
_SHELL = set("|<>&;$*?{}()~`")
"""Characters that need a shell; commands without them run in this process, where the libraries are imported already."""


@dataclasses.dataclass(frozen=True)
class Block:
    """language: the word after the fence.  file: name of the file, or None for a block that is run."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        found = _FILE.match(self.text)
        return found and found[1]

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one a line; a backslash or a here-document continues a command."""
        found = []
        lines = iter(self.text.replace("\\\n", " ").splitlines())
        for line in lines:
            end = _HERE.search(line)
            rest = list(itertools.takewhile(lambda text, end=end: text != end[1], lines)) if end else []
            command = "\n".join([line, *rest, *([end[1]] if end else [])])
            if shlex.split(command, comments=True):
                found.append(command)
        return found


def blocks(page: Path) -> list[Block]:
    return _blocks(page.read_text("utf-8"))


def _blocks(text: str) -> list[Block]:
    return [Block(language, text) for language, text in _FENCE.findall(text)]


def files(page: Path) -> dict[str, str]:
    """Name -> text of the blocks that are files."""
    return {block.file: block.text for block in blocks(page) if block.file}


def replaced(text: str, changes: dict[str, str]) -> str:
    """What a test runs in the place of what the reader runs; fails if a page no longer shows that."""
    for shown, tested in changes.items():
        assert shown in text
        text = text.replace(shown, tested)
    return text


def run(
    page: Path,
    folder: Path,
    zoo: Callable[..., tuple[int, str, str]],
    printed: Callable[[], str],
    smaller: dict[str, str] | None = None,
) -> None:
    """Run the blocks of a page in order, in `folder`, the working directory.

    zoo: see the fixture.  printed: returns the text written to standard output since its last call.
    smaller: what the reader runs -> what is run in its place.
    """
    names: dict[str, Any] = {}
    for block in _blocks(replaced(page.read_text("utf-8"), smaller or {})):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        elif block.language == "sh":
            for command in block.commands:
                _run_command(command, folder, zoo)
        elif block.language == "python":
            printed()
            exec(compile(block.text, f"{page.name}, {block.text.splitlines()[0]}", "exec"), names)
            assert printed() or "print(" not in block.text


def _run_command(command: str, folder: Path, zoo: Callable[..., tuple[int, str, str]]) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "zoo" and not _SHELL & set("".join(words)):
        status, out, err = zoo(*words[1:])
    else:
        shell = ["bash", "-o", "pipefail", "-c", command]
        result = subprocess.run(shell, cwd=folder, capture_output=True, text=True, check=False)
        status, out, err = result.returncode, result.stdout, result.stderr
    assert status == 0, f"{command}\n{out[-2000:]}{err[-2000:]}"
    assert "Traceback" not in err, command


def missing(page: Path) -> list[str]:
    """Libraries that the Python blocks of a page import and that are not installed."""
    programs = [block.text for block in blocks(page) if block.language == "python" and not block.file]
    nodes = [node for program in programs for node in ast.walk(ast.parse(program))]
    found = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    tops = dict.fromkeys(name.split(".")[0] for name in found)
    return [top for top in tops if importlib.util.find_spec(top) is None]


def shell_path(folder: Path, python: str) -> str:
    """A PATH where `zoo` runs the code of this clone."""
    folder.mkdir()
    (folder / "zoo").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{python}" -m zoo "$@"\n')
    (folder / "zoo").chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])
