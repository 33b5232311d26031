"""Published layouts of labelled sequences: the column of each target, and the files of each split.

Each model lists what its authors published (see zoo/weights/published.py); any architecture trains on any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo import registry
from zoo.card import Card
from zoo.errors import ZooError
from zoo.system.files import cache_path
from zoo.weights.published import Published


def columns() -> dict[str, tuple[str, ...]]:
    """Target -> other names of its column in published files."""
    names: dict[str, tuple[str, ...]] = {}
    for layout in _published():
        for target, column in layout.columns.items():
            names[target] = (*names.get(target, ()), column)
    return names


def target_of(column: str) -> str:
    """The target in a published column; any other column is a target of its own name."""
    return next((target for target, names in columns().items() if column in names), column)


def parse_target(text: str) -> tuple[str, str]:
    """ "TARGET=COLUMN", or the name of a column alone -> the target and its column.

    Raises ZooError if one side of the equals sign is empty.
    """
    target, equals, column = text.partition("=")
    if not equals:
        return text, text
    if not target or not column:
        raise ZooError(f"--targets: expected COLUMN or TARGET=COLUMN, got {text!r}")
    return target, column


def layouts() -> list[Mapping[str, tuple[str, str]]]:
    """Side -> names of its FASTA file and of its labels, for every published layout."""
    return [{side: _names(layout, word) for side, word in layout.splits.items()} for layout in _published()]


def card(folder: Path) -> Card | None:
    """What was published about the data in a folder, if it is the one in which `zoo pull data` stores them."""
    for module in registry.working("models").values():
        layout: Published | None = getattr(module, "PUBLISHED", None)
        if layout and cache_path(layout.data.folder).resolve() == folder.resolve():
            return registry.card(module, layout.variant)
    return None


def labels_of(fasta: str) -> str | None:
    """Name of the labels for a FASTA file that has the name of a published one; None for another name."""
    for layout in _published():
        before, _, after = layout.files[0].partition("{}")
        if fasta.startswith(before) and fasta.endswith(after):
            return _names(layout, fasta[len(before) : len(fasta) - len(after)])[1]
    return None


def _names(layout: Published, word: str) -> tuple[str, str]:
    fasta, labels = layout.files
    return fasta.format(word), labels.format(word)


def _published() -> list[Published]:
    modules = registry.working("models").values()
    return [layout for module in modules if (layout := getattr(module, "PUBLISHED", None))]
