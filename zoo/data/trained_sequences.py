"""The file in a run's folder that records which sequences it was trained and validated on.

It holds their keys (splits.keys), equal for both strands, by side, so that a score on them is not taken for a score on
new sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data import splits
from zoo.system.atomic import replacing

FILE = "seen.safetensors"


def save(folder: Path, sides: Mapping[str, np.ndarray]) -> None:
    """Write the file. sides: "train" or "validation" -> base codes, uint8 (N, L)."""
    from safetensors.numpy import save_file

    with replacing(folder / FILE, overwrite=True) as partial:
        save_file({side: splits.keys(codes) for side, codes in sides.items()}, partial)


def count(folder: Path, codes: np.ndarray) -> dict[str, int]:
    """Side of the run in `folder` -> number of these sequences, base codes, uint8 (N, L), that were on it.

    Sides without any are omitted; {} if the folder has no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        sides = load_file(folder / FILE)
    except (OSError, SafetensorError):
        return {}
    keys = splits.keys(codes)
    counts = {side: int(np.isin(keys, sides[side]).sum()) for side in splits.SIDES if side in sides}
    return {side: number for side, number in counts.items() if number}
