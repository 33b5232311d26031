"""The file in a run's folder that records which sequences it was trained and validated on.

It holds their keys (splits.keys), equal for both strands, by side, so that a score on them is not taken for a score on
new sequences. It also holds those of the run whose weights the training began with, under names such as start/train.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data import splits
from zoo.system.atomic import replacing

FILE = "seen.safetensors"

_START = "start/"


def save(folder: Path, sides: Mapping[str, np.ndarray], start: Path | None = None) -> None:
    """Write the file. sides: "train" or "validation" -> base codes, uint8 (N, L).  start: folder of the run whose
    weights the training began with."""
    from safetensors.numpy import save_file

    with replacing(folder / FILE, overwrite=True) as partial:
        own = {side: splits.keys(codes) for side, codes in sides.items()}
        save_file(own | {_START + side: keys for side, keys in (_read(start) if start else {}).items()}, partial)


def count(folder: Path, codes: np.ndarray, of_start: bool = False) -> dict[str, int]:
    """Side of the run in `folder` -> number of these sequences, base codes, uint8 (N, L), that were on it, or on this
    side of a run that it began with.

    of_start: count only those of the runs that it began with. Sides without any are omitted; {} if the folder has no
    such file.
    """
    keys, sides = splits.keys(codes), _read(folder, of_start)
    counts = {side: int(np.isin(keys, sides[side]).sum()) for side in splits.SIDES if side in sides}
    return {side: number for side, number in counts.items() if number}


def _read(folder: Path, of_start: bool = False) -> dict[str, np.ndarray]:
    """Side -> keys of the run in `folder` and of those that it began with, or only of these."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(folder / FILE)
    except (OSError, SafetensorError):
        return {}
    sides: dict[str, np.ndarray] = {}
    for name, keys in found.items():
        side = name.removeprefix(_START)
        if side != name or not of_start:
            sides[side] = np.union1d(sides[side], keys) if side in sides else keys
    return sides
