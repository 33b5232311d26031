"""Which sequences a training has seen, so that nobody takes a score on them for one on new sequences.

A file in the folder of a run holds their keys (splits.keys), the same for both strands, by the side they stood on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data import splits
from zoo.system.atomic import replacing

FILE = "seen.safetensors"


def save(folder: Path, sides: Mapping[str, np.ndarray]) -> None:
    """Side ("train", "validation") -> base codes, uint8 (N, L)."""
    from safetensors.numpy import save_file

    with replacing(folder / FILE, overwrite=True) as partial:
        save_file({side: splits.keys(codes) for side, codes in sides.items()}, partial)


def count(folder: Path, codes: np.ndarray) -> dict[str, int]:
    """How many of these sequences, base codes, uint8 (N, L), stood on which side of the training in `folder`.

    Sides without any are left out; {} where the folder has no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        sides = load_file(folder / FILE)
    except (OSError, SafetensorError):
        return {}
    wanted = splits.keys(codes)
    counts = {side: int(np.isin(wanted, keys).sum()) for side, keys in sides.items()}
    return {side: counts[side] for side in splits.SIDES if counts.get(side)}
