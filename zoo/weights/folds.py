"""The folder of a cross-validation: one run folder for each member, and `folds.json`, which lists them in order.

    folds.json     {"status": "running" or "finished", "members": [{"run": "fold-0", "fold": 0, "replicate": 0,
                   "validation": ["chr2R"], "held_out": ["chr2L"]}, ...], and facts of the training}
    fold-0, ...    run folders; with several replicates of a fold, fold-0-replicate-0, ...

`held_out` are the chromosomes that a member neither was trained on nor chose its epoch by; the folds hold out every
sequence once. Both lists are empty if the folds divide single sequences instead of chromosomes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.options import check
from zoo.system.atomic import replacing

FILE = "folds.json"

FINISHED = "finished"


@dataclasses.dataclass(frozen=True)
class FoldMember:
    """One training of a cross-validation.

    run: name of its run folder.  fold, replicate: numbers from 0.  validation, held_out: chromosomes.
    """

    run: str
    fold: int
    replicate: int = 0
    validation: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)


def is_folds(folder: Path) -> bool:
    """Whether a folder is that of a cross-validation."""
    return (folder / FILE).is_file()


def members(folder: Path) -> list[FoldMember]:
    """The members of a finished cross-validation, fold by fold.

    Raises ZooError if `folds.json` is missing or damaged, or if its training is not finished.
    """
    facts = read(folder)
    if facts["status"] != FINISHED:
        raise ZooError(f"{folder}: not all folds are trained; the same zoo train with --resume continues")
    found: list[FoldMember] = facts["members"]
    return found


def read(folder: Path) -> dict[str, Any]:
    """What `folds.json` says, with "members" as a list of FoldMember. Raises ZooError if it is missing or damaged."""
    path = folder / FILE
    try:
        facts = json.loads(path.read_text("utf-8"))
        found = [FoldMember(**one) for one in facts["members"]]
        return {**facts, "status": str(facts["status"]), "members": found}
    except (OSError, ValueError, LookupError, TypeError, ZooError) as error:
        raise ZooError(f"{path}: expected the list of folds that zoo train --folds writes ({error})") from None


def write(folder: Path, status: str, of: Sequence[FoldMember], facts: Mapping[str, Any]) -> None:
    """Write `folds.json`."""
    document = {"status": status, **facts, "members": [dataclasses.asdict(one) for one in of]}
    with replacing(folder / FILE, overwrite=True) as partial:
        partial.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
