"""ModelSpec: what a weights file says about itself, and the constants that the whole zoo shares.

Imports nothing but errors. A spec travels as JSON in the header of a .safetensors file and in `metadata_props` of an
.onnx file, so that no side file is needed to run either.
"""

from __future__ import annotations

import dataclasses
import json
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        if self.alphabet != ALPHABET:
            raise ZooError(f"model spec: expected the alphabet {ALPHABET}, got {self.alphabet!r}")
        if self.version != SPEC_VERSION:
            raise ZooError(f"model spec: version {self.version} was written by another release; update deepstarr-zoo")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelSpec:
        """Parse `text` found in the file `where`. Raises ZooError if it is not a spec."""
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ZooError(f"{where}: the model spec in its metadata cannot be read ({error})") from None
