"""Published layouts of labelled sequences: which column holds a target, which files hold a split.

The models say what their authors published (published.Published); a network of any architecture trains on any of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from zoo import registry
from zoo.errors import ZooError
from zoo.weights.published import Published


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


def asked(text: str) -> tuple[str, str]:
    """ "TARGET=COLUMN", or the name of a column alone -> the target, and the column that holds it.

    Raises ZooError if there is nothing on one side of the equals sign.
    """
    target, equals, column = text.partition("=")
    if not equals:
        return text, text
    if not target or not column:
        raise ZooError(f"--targets: expected COLUMN or TARGET=COLUMN, got {text!r}")
    return target, column


def layouts() -> list[Mapping[str, tuple[str, str]]]:
    """Side -> names of its FASTA file and of its labels, for every published layout."""
    return [{side: _names(offer, word) for side, word in offer.splits.items()} for offer in _offers()]


def labels_of(fasta: str) -> str | None:
    """Name of the labels that belong to a FASTA file which is named as published ones are; None for another name."""
    for offer in _offers():
        before, _, after = offer.files[0].partition("{}")
        if fasta.startswith(before) and fasta.endswith(after):
            return _names(offer, fasta[len(before) : len(fasta) - len(after)])[1]
    return None


def _names(offer: Published, word: str) -> tuple[str, str]:
    fasta, labels = offer.files
    return fasta.format(word), labels.format(word)


def _offers() -> list[Published]:
    modules = registry.working("models").values()
    return [offer for module in modules if (offer := getattr(module, "PUBLISHED", None))]
