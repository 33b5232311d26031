"""Several weights as one model, an ensemble: which members a user names, and the spec of the whole.

An ensemble is a list of weights, in Python or with commas, or a folder whose subfolders are run folders, such as the
folds of a cross-validation. Its members agree in what they take and give; their networks may differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.card import Card
from zoo.errors import ZooError
from zoo.spec import Member, ModelSpec, listed
from zoo.weights import folds, lookup

Weights = str | Path | Sequence[str | Path]
"""What a user names: weights, or several."""

MOST_NAMED = 3
"""Members whose names make the name of an ensemble."""

ENDED = ("finished", "stopped")
"""Statuses of runs that came to their end, or were ended early on purpose."""

_NUMBERS = re.compile(r"(\d+)")


def members_of(weights: Weights) -> list[str | Path]:
    """The members of what a user names, in order; a single one for weights that are no ensemble.

    Raises ZooError for a list with an empty entry, and for a folder of run folders that cannot be used.
    """
    if isinstance(weights, str) and "," in weights and not Path(weights).exists():
        weights = weights.split(",")
    if not isinstance(weights, str | Path):
        return _checked(list(weights))
    return _runs_in(Path(weights)) or [weights]


def is_ensemble(weights: Weights) -> bool:
    """Whether a user names several weights. Raises ZooError as `members_of` does."""
    return len(members_of(weights)) > 1


def _runs_in(folder: Path) -> list[str | Path]:
    """The run folders in a folder of folds, or in another folder that is neither a run folder nor a pack; in the order
    of the folds, else of the names, fold-2 before fold-10."""
    if folds.is_folds(folder):
        return [folder / one.run for one in folds.members(folder)]
    if not folder.is_dir() or lookup.weights_in(folder) is not None:
        return []
    found = [one.name for one in folder.iterdir() if (one / lookup.RUN_RECEIPTS).is_file()]
    in_order = sorted(found, key=lambda name: [int(part) if part.isdigit() else part for part in _NUMBERS.split(name)])
    for name in in_order:
        if (status := lookup.run_status(folder / name)) not in ENDED:
            raise ZooError(
                f"{folder / name}: expected finished runs as members, this one is {status or 'damaged'}; "
                "finish it with --resume, move it elsewhere, or name the members with commas"
            )
    return [folder / name for name in in_order]


def _checked(members: list[str | Path]) -> list[str | Path]:
    for one in members:
        if not isinstance(one, str | Path) or not str(one).strip():
            raise ZooError(
                f"weights: expected files, run folders or names as members of an ensemble, such as a.safetensors,"
                f"b.safetensors; got {one!r} among {len(members)}"
            )
    if not members:
        raise ZooError("weights: expected one or more members of an ensemble, got an empty list")
    return members


def short_name(weights: Weights) -> str:
    """The name of weights in lists, see lookup.short_name: of an ensemble, that of its folder or of its members."""
    if isinstance(weights, str | Path) and Path(weights).is_dir():
        return lookup.short_name(weights)
    members = members_of(weights)
    return "+".join(map(lookup.short_name, members)) if len(members) <= MOST_NAMED else f"ensemble-of-{len(members)}"


def by_name(weights: Sequence[str]) -> dict[str, str]:
    """Short name -> weights, for several; `lookup.default()` if there are none. Raises ZooError for two with the same
    name."""
    result: dict[str, str] = {}
    for one in weights or [lookup.default()]:
        name = short_name(one)
        if name in result:
            raise ZooError(f"{name}: two of the models would have this name; rename one of the files")
        result[name] = one
    return result


def files_of(weights: Weights) -> list[Path]:
    """Absolute paths of the files of weights; bundled ones have none."""
    return [file for one in members_of(weights) if (file := lookup.file_of(one)) is not None]


def combined(names: Sequence[str | Path], specs: Sequence[ModelSpec]) -> ModelSpec:
    """The spec of an ensemble; that of the only member as it is. names: what the user named, for messages.

    A member that is a file of several members counts as these. The card has what all members agree in.
    Raises ZooError for members that differ in sequence length, targets or unit, or are the same.
    """
    if len(specs) == 1:
        return specs[0]
    first = specs[0]
    for name, spec in zip(names[1:], specs[1:], strict=True):
        for what, own, others in (
            ("sequences of one length", f"{first.sequence_length} bases", f"{spec.sequence_length} bases"),
            ("the same targets in one order", listed(first.targets), listed(spec.targets)),
            ("one unit of the activities", first.unit, spec.unit),
        ):
            if own != others:
                raise ZooError(f"members: expected {what}, got {own} of {names[0]} and {others} of {name}")
    members = [(name, member) for name, spec in zip(names, specs, strict=True) for member in members_in(name, spec)]
    seen: dict[tuple[str, str], str | Path] = {}
    for name, member in members:
        key = member.weights_id, member.network_id
        if key in seen:
            raise ZooError(
                f"members: {seen[key]} and {name} are the same weights, {member.weights_id[:12]}; an ensemble needs "
                "different ones"
            )
        seen[key] = name
    return dataclasses.replace(
        first,
        weights_id=ensemble_id([member for _, member in members]),
        source=_shared(specs, "source") or "ensemble of weights from several sources",
        licence=_shared(specs, "licence") or "several, those of the members",
        imported=_shared(specs, "imported") or "",
        card=_card(specs),
        frame=_shared(specs, "frame"),
        members=tuple(member for _, member in members),
    )


def members_in(name: str | Path, spec: ModelSpec) -> tuple[Member, ...]:
    """The members of weights; of a single network itself."""
    return spec.members or (Member(spec.weights_id, spec.network_id, spec.architecture, held_out(name, spec)),)


def held_out(name: str | Path, spec: ModelSpec) -> tuple[str, ...]:
    """The chromosomes that the training of a single network held out: those of its fold in a cross-validation, else
    those of its card. Empty if they are unknown."""
    run = lookup.run_of(name)
    if run is not None and folds.is_folds(run.parent):
        fold = next((one for one in folds.members(run.parent) if one.run == run.name), None)
        if fold is not None:
            return fold.held_out
    card = lookup.card(spec)
    return card.held_out if card else ()


def ensemble_id(members: Sequence[Member]) -> str:
    """sha256 (hex) of the ids of the members and of their networks, in order."""
    ids = [[one.weights_id, one.network_id] for one in members]
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def _shared(specs: Sequence[ModelSpec], name: str) -> Any:
    """The value that all specs have in a field; None if they differ."""
    values = [getattr(spec, name) for spec in specs]
    return values[0] if all(value == values[0] for value in values) else None


def _card(specs: Sequence[ModelSpec]) -> Card | None:
    """What all cards agree in, and the chromosomes that no member was trained on."""
    cards = [lookup.card(spec) for spec in specs]
    if all(card is None for card in cards) and all(spec.frame == specs[0].frame for spec in specs):
        return None
    known = [card or Card() for card in cards]
    same = {
        field.name: getattr(known[0], field.name)
        for field in dataclasses.fields(Card)
        if all(getattr(card, field.name) == getattr(known[0], field.name) for card in known)
    }
    by_none = tuple(name for name in known[0].held_out if all(name in card.held_out for card in known))
    return Card(**{**same, "held_out": by_none})
