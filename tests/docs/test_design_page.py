"""docs/design.md: its commands make docs/example.fa, and the activities of these sequences match their names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pages
from command_line import Zoo

from zoo.dna.encoding import encode
from zoo.prediction.model import load

EXAMPLE = pages.ROOT / "docs" / "example.fa"


def sequences(text: str) -> dict[str, str]:
    return dict(re.findall(r"^>(\S+).*\n([ACGT]+)$", text, re.MULTILINE))


def test_the_commands_of_the_page_make_the_example_sequences(zoo: Zoo, reader: Path) -> None:
    (making,) = [block for block in pages.blocks(pages.ROOT / "docs" / "design.md") if "> example.fa" in block.text]
    for command in making.commands[:-1]:
        words = [word.strip("'") for word in command.split()]
        assert zoo(*words[1:], "--runtime", "kmer-cpu")[0] == 0
    made = "".join((reader / f"{name}.fa").read_text() for name in ("strong_dev", "strong_hk", "neither"))
    assert sequences(made) == sequences(EXAMPLE.read_text())


def test_the_example_sequences_are_what_their_names_say() -> None:
    found = sequences(EXAMPLE.read_text())
    assert len(found) == 10
    values = dict(zip(found, load("original", runtime="kmer-cpu").predict(list(found.values())), strict=True))
    kinds = {name: name.rpartition("_")[0] for name in found}
    for name, (dev, hk) in values.items():
        high, low = {"strong_dev": (dev, hk), "strong_hk": (hk, dev), "neither": (1e3, max(dev, hk))}[kinds[name]]
        assert high > 3
        assert low < (0 if kinds[name] == "neither" else 1)
    codes = encode(list(found.values()))
    assert (codes[:, None] != codes).sum(2)[np.triu_indices(10, 1)].min() > 100
