"""ModelSpec: what a weights file says about itself, and the constants that the whole zoo shares.

A spec travels as JSON in the header of a .safetensors file and in `metadata_props` of an .onnx file. Neither needs
another file beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from zoo.card import Card
from zoo.errors import WrongLength, ZooError, counted, did_you_mean, nearest_first
from zoo.frame import Frame, frame_of
from zoo.options import Bounds, check, check_kind, made

ALPHABET = "ACGT"
"""Base order of every one-hot axis and base code in the zoo."""

UNKNOWN_BASE = len(ALPHABET)
"""Base code of anything but A, C, G and T: a row of zeros in one-hot encoding."""

UNIT = "log2 enrichment"
"""Unit of activities, for the axes of figures: STARR-seq activity over input. See ModelSpec.unit for other units."""

NO_UNIT = "activity"
"""What axes show if the unit is unknown."""

MOST_SHOWN = 64
"""Targets that lists and figures show one by one; of more, lists name the first few and figures show distributions."""

SPEC_KEY = "deepstarr_zoo"
"""Metadata key of the ModelSpec in a file."""

TEST_KEY = "deepstarr_zoo_test"
"""Metadata key of the test tensors in an .onnx file: base64 of a .safetensors file, see zoo/weights/test_tensors.py."""

SPEC_VERSION = 1

SPREAD = "_sd"
"""End of the name of a column or track with the standard deviation over the members of an ensemble, such as dev_sd."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    weights_id, network_id, architecture: see ModelSpec.  held_out: chromosomes that its training did not see, empty if
    they are unknown.
    """

    weights_id: str
    network_id: str
    architecture: str
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self, "members: ", "_")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Everything that a runtime needs to know to run a weights file, and a reader to cite it.

    architecture: name of a model plug-in, such as deepstarr.
    config: fields of that architecture's Config, JSON types only.
    sequence_length: L, in bases.  targets: names of the T output columns, in order.
    weights_id: sha256 (hex) of the canonical arrays, see checkpoint.weights_id. Predictions are the same
        if `network_id` is the same too.
    source, licence: where the weights come from and their licence; free text.
    imported: for weights from another program, how its file was read; free text, "" for others.
    card: what the network was trained on, and whether it may be passed on; a dict of its fields becomes a Card.
    frame: for a network that was imported as a graph, what it expects and gives; None for others.
    members: the networks of an ensemble, whose mean is predicted, in order; empty for a single network. Architecture
        and config of an ensemble are those of its first member.
    Raises ZooError for a field of another type, and for target names that a table cannot have.
    """

    architecture: str
    config: dict[str, Any]
    sequence_length: Annotated[int, Bounds(1)]
    targets: tuple[str, ...]
    weights_id: str
    source: str = "unknown"
    licence: str = "unknown"
    alphabet: str = ALPHABET
    version: int = SPEC_VERSION
    imported: str = ""
    card: Card | None = None
    frame: Frame | None = None
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.card, dict):
            object.__setattr__(self, "card", made(Card, self.card))
        if isinstance(self.frame, dict):
            object.__setattr__(self, "frame", frame_of(self.frame))
        if isinstance(self.members, list):
            members = tuple(made(Member, one) if isinstance(one, dict) else one for one in self.members)
            object.__setattr__(self, "members", members)
        check(self, "model spec: ", "_")
        check_targets(self.targets)
        if self.alphabet != ALPHABET:
            raise ZooError(f"model spec: expected the alphabet {ALPHABET}, got {self.alphabet!r}")
        if self.version != SPEC_VERSION:
            raise ZooError(f"model spec: version {self.version} was written by another release; update deepstarr-zoo")

    def target_index(self, target: str | int) -> int:
        """The number of a target, from 0. Raises ZooError, which lists the targets, for an unknown one."""
        if isinstance(target, str) and target in self.targets:
            return self.targets.index(target)
        check_kind("target", target, str | int)
        if not isinstance(target, str) and 0 <= target < len(self.targets):
            return int(target)
        text = target if isinstance(target, str) else ""
        known, hint = nearest_first(text, self.targets), did_you_mean(text, self.targets)
        raise ZooError(f"targets: these weights predict {listed(known)}, got {target!r}{hint}")

    def target_indices(self, targets: Sequence[str]) -> list[int]:
        """The numbers of these targets; of all if none is given. Raises ZooError for an unknown one, or one twice."""
        for place, target in enumerate(targets):
            if target in targets[:place]:
                raise ZooError(f"targets: expected each target once, got {target} twice")
        return [self.target_index(target) for target in targets or self.targets]

    @property
    def network_id(self) -> str:
        """sha256 (hex) of the architecture and its config, which say what is computed with the arrays."""
        made_of = [self.architecture, self.config, *(one.network_id for one in self.members)]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    @property
    def numbers(self) -> int:
        """Numbers that an engine computes for a sequence: T, or M x T for an ensemble in one file."""
        return max(1, len(self.members)) * len(self.targets)

    @property
    def unit(self) -> str:
        """Unit of the activities, for the axes of figures. Without a card, the zoo's own networks are of STARR-seq
        data, and the unit of an imported one is unknown."""
        if self.card is None:
            return UNIT if self.frame is None else NO_UNIT
        return self.card.unit or NO_UNIT

    @contextlib.contextmanager
    def naming_flanks(self) -> Iterator[None]:
        """Add the flanks of the network, if it has any, to the error for a sequence of another length."""
        try:
            yield
        except WrongLength as error:
            flanks = self.frame.sequence if self.frame else None
            if flanks is None or not flanks.left + flanks.right:
                raise
            raise WrongLength(
                f"{error}; the network adds flanks of {len(flanks.left)} and {len(flanks.right)} bases itself: give "
                "sequences without them"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """The fields; `imported`, `card`, `frame` and `members` are left out if there are none."""
        fields = {**dataclasses.asdict(self), "card": None if self.card is None else self.card.to_dict()}
        optional = ("imported", "card", "frame", "members")
        return {name: value for name, value in fields.items() if name not in optional or value not in (None, "", ())}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True)


def listed(targets: Sequence[str]) -> str:
    """The names of targets in a list or a message; only the first three of more than MOST_SHOWN."""
    if len(targets) <= MOST_SHOWN:
        return ", ".join(targets)
    return f"{', '.join(targets[:3])} and {counted(len(targets) - 3, 'others')}"


def check_targets(targets: Sequence[Any]) -> None:
    """Raise ZooError unless these are one or more different names that columns of a table can have."""
    for name in targets:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ZooError(f"targets: expected names without tabs, line ends and control characters, got {name!r}")
    if not targets or len(set(targets)) != len(targets):
        raise ZooError(f"targets: expected one or more different names, got {list(targets)}")
