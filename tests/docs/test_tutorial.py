"""docs/tutorial.md: its notebook has the same steps, and runs from nothing to its last cell.

Write the notebook again with `ZOO_UPDATE_NOTEBOOK=1 pytest tests/docs/test_tutorial.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pages
import pytest

nbformat = pytest.importorskip("nbformat")

DOCS = pages.ROOT / "docs"
PAGE, NOTEBOOK = DOCS / "tutorial.md", DOCS / "tutorial.ipynb"

SMALLER = {"--shuffles 20": "--shuffles 5", "--epochs 8": "--epochs 1", "--rounds 15": "--rounds 5"}
SMALLER_DATA = {"SPACING = 1_500": "SPACING = 3_000", "ROWS = 6_000": "ROWS = 1_000"}
"""What the reader runs -> what the test runs in its place."""

_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells(page: str) -> list[tuple[str, str]]:
    """(kind, source) of each cell. A shell block is a cell of bash; `cd` in it is a cell of its own."""
    found, end = [], 0
    for block in _BLOCK.finditer(page):
        found.append(("markdown", page[end : block.start()].strip()))
        language, source, end = block[1], block[2].strip(), block.end()
        pieces = re.split(r"^(cd .*)$", source, flags=re.MULTILINE) if language == "sh" else [source]
        for piece in filter(None, map(str.strip, pieces)):
            shell = language == "sh" and not piece.startswith("cd ")
            found.append(("code", f"%%bash -e\n{piece}" if shell else piece.replace("cd ", "%cd ", language == "sh")))
    return [*found, ("markdown", page[end:].strip())]


def notebook() -> Any:
    version = nbformat.v4
    made = version.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for number, (kind, source) in enumerate(cells(PAGE.read_text("utf-8")), 1):
        cell = version.new_markdown_cell(source) if kind == "markdown" else version.new_code_cell(source)
        cell.id = f"cell-{number}"
        made.cells.append(cell)
    return made


def test_the_notebook_has_the_steps_of_the_page() -> None:
    made = nbformat.writes(notebook()) + "\n"
    if os.environ.get("ZOO_UPDATE_NOTEBOOK"):
        NOTEBOOK.write_text(made, "utf-8")
    assert made == NOTEBOOK.read_text("utf-8")


def test_every_picture_of_the_page_is_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\((\S+)\)", PAGE.read_text("utf-8"))
    assert len(pictures) == 4
    assert all((DOCS / picture).is_file() for picture in pictures)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="the notebook has cells of bash")
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reader runs it, with fewer peaks, shuffles, rows and epochs."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("modiscolite")
    path = pages.shell_path(tmp_path / "bin", sys.executable)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", path)
    (tmp_path / "tutorial_data.py").write_text(pages.replaced((DOCS / "tutorial_data.py").read_text(), SMALLER_DATA))
    run = nbformat.reads(pages.replaced(NOTEBOOK.read_text("utf-8"), SMALLER), as_version=4)
    nbclient.NotebookClient(run, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = ["".join(output.get("text", "") for output in cell.get("outputs", ())) for cell in run.cells]
    kinds, effects = (next(text for text in printed if word in text) for word in ("kind", "where"))
    means = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in kinds.splitlines()[2:]}
    assert means["hk"][1] > means["dev"][1] + 2
    assert min(means["hk"][0], means["dev"][0]) > 2
    sizes = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in effects.splitlines()[2:]}
    assert min(sizes["motif"]) > 2 * max(sizes["flank"])
    assert "AP-1" in next(text for text in printed if "consensus" in text)
    made = ("explained/motifs/motifs.html", "tracks.png", "effects.png", "compared.png", "designs.fa", "mine.onnx")
    for file in made:
        assert (tmp_path / "tutorial" / file).stat().st_size
