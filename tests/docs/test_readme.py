"""README.md: the first example prints the text that the page shows. test_pages.py runs its blocks."""

from __future__ import annotations

import pages
import pytest
from command_line import Zoo

SHOWN = next(block.text for block in pages.blocks(pages.ROOT / "README.md") if block.language == "console")


def test_the_first_example_prints_what_the_page_shows(zoo: Zoo) -> None:
    status, out, err = zoo("predict", "--runtime", "kmer-cpu", pages.ROOT / "docs" / "example.fa")
    *rows, note = [line for line in SHOWN.splitlines() if not line.startswith(("$", "..."))]
    assert status == 0
    assert err == f"{note}\n"
    for shown, printed in zip(rows[1:], out.splitlines()[1:], strict=False):
        assert shown.split("\t")[0] == printed.split("\t")[0]
        numbers = [[float(value) for value in line.split("\t")[1:]] for line in (shown, printed)]
        assert numbers[0] == pytest.approx(numbers[1], abs=2e-5)
