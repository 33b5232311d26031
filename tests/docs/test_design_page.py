"""docs/design.md: its blocks run and make docs/example.fa, and the activities of these sequences match their names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pages
import pytest
from command_line import Zoo

from zoo.dna.encoding import encode
from zoo.prediction.model import load

EXAMPLE = pages.ROOT / "docs" / "example.fa"


def sequences(text: str) -> dict[str, str]:
    return dict(re.findall(r"^>(\S+).*\n([ACGT]+)$", text, re.MULTILINE))


LEFT = ("designs.fa", "designs.fa.trace.tsv", "designs.fa.json", "climb.png", "mutated.fa")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page shows commands of a POSIX shell")
def test_the_blocks_of_the_page_run_and_make_the_example_sequences(
    zoo: Zoo, reader: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def on_kmer(*words: str) -> tuple[int, str, str]:
        return zoo(*words, "--runtime", "kmer-cpu")  # another one may round otherwise, and design another sequence

    pages.run(pages.ROOT / "docs" / "design.md", reader, on_kmer, lambda: capfd.readouterr().out)
    assert sequences((reader / "example.fa").read_text()) == sequences(EXAMPLE.read_text())
    for file in LEFT:
        assert (reader / file).is_file(), file


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
