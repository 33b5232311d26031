"""Published layouts of labelled sequences: which column holds a target, which files hold a split.

The models say what their authors published (contracts.Published); a network of any architecture trains on any of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo import contracts, registry
from zoo.contracts import Published


def columns() -> dict[str, tuple[str, ...]]:
    """Target -> the columns that hold it in published files, where those have another name."""
    found: dict[str, tuple[str, ...]] = {}
    for offer in _offers():
        for target, column in offer.columns.items():
            found[target] = (*found.get(target, ()), column)
    return found


def target_of(column: str) -> str:
    """The target that a published column holds; any other column is a target of its own name."""
    return next((target for target, names in columns().items() if column in names), column)


def layouts() -> list[Mapping[str, tuple[str, str]]]:
    """Side -> names of its FASTA file and of its labels, for every published layout."""
    return [offer.splits for offer in _offers()]


def labels_of(fasta: str) -> str | None:
    """Name of the labels that belong to a FASTA file which is named as the published ones; None for another name.

    Sequences_Mine.fa -> Sequences_activity_Mine.txt, as Sequences_Train.fa -> Sequences_activity_Train.txt.
    """
    for layout in layouts():
        (before, after), (labels_before, labels_after) = (
            _around(names) for names in zip(*layout.values(), strict=True)
        )
        if fasta.startswith(before) and fasta.endswith(after):
            return f"{labels_before}{fasta[len(before) : len(fasta) - len(after)]}{labels_after}"
    return None


def _around(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin with, and their suffix."""
    return os.path.commonprefix(names), Path(names[0]).suffix


def _offers() -> list[Published]:
    modules = registry.working("models").values()
    return [offer for module in modules if (offer := contracts.extra(module, "PUBLISHED"))]
