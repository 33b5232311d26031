"""Card: what a network was trained on, what its activities are, and whether its weights may be passed on.

The card is part of ModelSpec. The source of the weights and their licence are fields of ModelSpec itself, since every
file has them; a file of an earlier release has no card.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from zoo.errors import ZooError
from zoo.options import check

SPECIES = {
    "fly": "Drosophila melanogaster",
    "human": "Homo sapiens",
    "mouse": "Mus musculus",
    "rat": "Rattus norvegicus",
    "yeast": "Saccharomyces cerevisiae",
    "fission yeast": "Schizosaccharomyces pombe",
    "worm": "Caenorhabditis elegans",
    "zebrafish": "Danio rerio",
    "chicken": "Gallus gallus",
    "arabidopsis": "Arabidopsis thaliana",
    "maize": "Zea mays",
    "rice": "Oryza sativa",
}
"""Common name of a species -> its Latin name. Other species are given by their Latin names."""

LONGEST = 1000
"""Characters of one field."""


@dataclasses.dataclass(frozen=True)
class Card:
    """What a network was trained on and may be used for; an empty field is unknown.

    Raises ZooError for a field of another type, with a line end or other control characters, or too long.
    """

    species: str = ""
    """Species, by Latin or common name (fly, human, mouse, yeast); several with commas."""

    tissue: str = ""
    """Cell line or tissue."""

    assay: str = ""
    """Assay that measured the activities, such as STARR-seq."""

    unit: str = ""
    """Unit of the activities, such as log2 enrichment."""

    training_data: str = ""
    """Data set that the network was trained on."""

    held_out: tuple[str, ...] = ()
    """Chromosomes of the validation and the test, which training did not see."""

    citation: str = ""
    """Publication to cite, with its DOI."""

    use: str = ""
    """Terms of use beyond the licence, such as: academic use only."""

    redistribution: bool | None = None
    """Whether the weights may be passed on; by default their licence decides, if it is a known one."""

    source_sha256: str = ""
    """sha256 (hex) of the file that the weights came from."""

    def __post_init__(self) -> None:
        check(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for text in (value,) if isinstance(value, str) else value or () if field.name == "held_out" else ():
                if not text.isprintable() or len(text) > LONGEST:
                    raise ZooError(
                        f"{field.name.replace('_', '-')}: expected one line of at most {LONGEST:,} characters, got "
                        f"{text[:LONGEST]!r}"
                    )
        object.__setattr__(self, "species", ", ".join(latin(name) for name in self.species.split(",")))
        if self.source_sha256 and not re.fullmatch("[0-9a-f]{64}", self.source_sha256):
            raise ZooError(f"source-sha256: expected 64 hexadecimal digits, got {self.source_sha256!r}")

    def to_dict(self) -> dict[str, Any]:
        """The known fields, JSON types only: Card(**card.to_dict()) == card."""
        known = {name: value for name, value in dataclasses.asdict(self).items() if value not in ("", (), None)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}

    def lines(self) -> dict[str, str]:
        """Name -> value of the known fields, in words for readers."""
        lines = {name.replace("_", " "): str(value) for name, value in self.to_dict().items()}
        if self.held_out:
            lines["held out"] = ", ".join(self.held_out)
        if self.redistribution is not None:
            lines["redistribution"] = "allowed" if self.redistribution else "not allowed"
        return lines

    @property
    def predicts(self) -> str:
        """What the activities are, in words; empty if neither the cells nor the assay are known."""
        cells = " ".join(filter(None, (self.species, self.tissue)))
        parts = [f"activity in {cells}" if cells else "activity", self.assay and f"measured by {self.assay}"]
        return ", ".join(filter(None, (*parts, self.unit and f"as {self.unit}"))) if cells or self.assay else ""

    def filled(self, other: Card) -> Card:
        """This card, with the fields that it leaves unknown from another."""
        return Card(**{**other.to_dict(), **self.to_dict()})


def common(species: str) -> str:
    """Species by their common names where they have one: "Drosophila melanogaster, Apis mellifera" -> "fly, Apis
    mellifera"."""
    names = {latin: name for name, latin in SPECIES.items()}
    return ", ".join(names.get(one, one) for one in species.split(", "))


def latin(species: str) -> str:
    """The Latin name of a species; the name itself, without blanks around it, if it is no common name."""
    name = " ".join(species.split())
    return SPECIES.get(name.lower(), name)
