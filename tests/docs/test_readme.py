"""README.md: the first example prints the text that the page shows, and its speed is the stored one. test_pages.py runs
its blocks."""

from __future__ import annotations

import json
import re

import pages
from command_line import Zoo

from zoo.prediction.run import TERMINAL_DECIMALS
from zoo.weights import lookup

SHOWN = next(block.text for block in pages.blocks(pages.ROOT / "README.md") if block.language == "console")


def test_the_first_example_prints_what_the_page_shows(zoo: Zoo) -> None:
    status, out, err = zoo("predict", "--runtime", "kmer-cpu", pages.ROOT / "docs" / "example.fa")
    *rows, note, caution = [line for line in SHOWN.splitlines() if not line.startswith(("$", "..."))]
    assert status == 0
    assert err == f"{note}\n{caution}\n"
    for shown, printed in zip(rows[1:], out.splitlines()[1:], strict=False):
        assert shown.split("\t")[0] == printed.split("\t")[0]
        numbers = [[float(value) for value in line.split("\t")[1:]] for line in (shown, printed)]
        assert numbers[0] == [round(number, TERMINAL_DECIMALS) for number in numbers[1]]
        assert all(len(number.partition(".")[2]) == TERMINAL_DECIMALS for number in shown.split("\t")[1:])


def test_the_error_of_the_bundled_weights_stands_above_the_numbers() -> None:
    text = (pages.ROOT / "README.md").read_text("utf-8")
    error = lookup.error(lookup.catalog()["original"]["fidelity"], ("dev", "hk"))
    assert 0 < text.find(error) < text.find(SHOWN)


def test_the_speed_is_that_of_the_stored_results() -> None:
    text = (pages.ROOT / "README.md").read_text("utf-8")
    stored = json.loads((pages.ROOT / "benchmarks" / "results" / "amd-two-cores.json").read_text("utf-8"))
    tables = [one["extra_info"] for one in stored["benchmarks"]]
    (command,) = (one for one in tables if one["table"].startswith("the whole command, 41,186 windows"))
    ways = {row["way"]: row for row in command["rows"]}
    found = re.search(r"take ([\d.]+) s for the 41,186 .*? takes ([\d.]+) s: ([\d.]+) times", text)
    assert found
    keras = ways["Keras script"]
    assert [*map(float, found.groups())] == [
        ways["zoo predict, kmer-cpu"]["seconds"],
        keras["seconds"],
        keras["zoo is faster by"],
    ]
