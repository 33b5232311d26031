"""ModelSpec: what a weights file says about itself, and the constants that the whole zoo shares.

Imports nothing but errors. A spec travels as JSON in the header of a .safetensors file and in `metadata_props` of an
.onnx file, so that no side file is needed to run either.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from zoo.errors import ZooError

ALPHABET = "ACGT"
"""Base order of every one-hot axis and base code in the zoo."""

UNKNOWN_BASE = len(ALPHABET)
"""Base code of anything that is not A, C, G or T: a row of zeros when one-hot encoded."""

SPEC_KEY = "deepstarr_zoo"
"""Metadata key under which a file carries its ModelSpec."""

SPEC_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Everything a runtime has to know to run a weights file, and a reader to cite it.

    architecture: name of a folder in zoo/models.
    config: fields of that architecture's Config, JSON types only.
    sequence_length: L, in bases.  targets: names of the T output columns, in order.
    weights_id: sha256 (hex) of the canonical arrays, see checkpoint.weights_id.
    source, licence: where the weights came from, and on what terms; free text.
    imported: of weights of another program, how they were read and how that was decided; free text, "" for others.
    """

    architecture: str
    config: dict[str, Any]
    sequence_length: int
    targets: tuple[str, ...]
    weights_id: str
    source: str = "unknown"
    licence: str = "unknown"
    alphabet: str = ALPHABET
    version: int = SPEC_VERSION
    imported: str = ""

    def __post_init__(self) -> None:
        """Raises ZooError for a field of another type or a name that no table can hold."""
        for name, kind in FIELDS.items():
            if type(getattr(self, name)) not in kind:
                expected = " or ".join(one.__name__ for one in kind)
                raise ZooError(f"model spec: {name}: expected {expected}, got {getattr(self, name)!r}")
        object.__setattr__(self, "targets", tuple(self.targets))
        check_targets(self.targets)
        if self.sequence_length < 1:
            raise ZooError(f"model spec: sequence_length: expected at least 1, got {self.sequence_length}")
        if self.alphabet != ALPHABET:
            raise ZooError(f"model spec: expected the alphabet {ALPHABET}, got {self.alphabet!r}")
        if self.version != SPEC_VERSION:
            raise ZooError(f"model spec: version {self.version} was written by another release; update deepstarr-zoo")

    def to_dict(self) -> dict[str, Any]:
        """The fields, without `imported` where it is empty: a file of weights that were trained here needs none."""
        fields = dataclasses.asdict(self)
        return fields if self.imported else {name: value for name, value in fields.items() if name != "imported"}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True)


FIELDS: dict[str, tuple[type, ...]] = {
    "architecture": (str,),
    "config": (dict,),
    "sequence_length": (int,),
    "targets": (tuple, list),
    "weights_id": (str,),
    "source": (str,),
    "licence": (str,),
    "alphabet": (str,),
    "version": (int,),
    "imported": (str,),
}
"""Field of a ModelSpec -> the types that it may have; True is no whole number."""


def check_targets(targets: Sequence[Any]) -> None:
    """Raise ZooError unless these are one or more different names that a column of a table can have."""
    for name in targets:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ZooError(f"targets: expected names without tabs, line ends and control characters, got {name!r}")
    if not targets or len(set(targets)) != len(targets):
        raise ZooError(f"targets: expected one or more different names, got {list(targets)}")
