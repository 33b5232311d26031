"""A calibration: the intervals around the predictions of a model, as columns such as dev_low and dev_high.

The file belongs to weights, targets and the rule for strands, on any runtime. Axes: N sequences, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.prediction import model_files
from zoo.prediction.conformal import Conformal, DifficultyScale
from zoo.prediction.options import COVERAGE, CalibratedOptions
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing

LOW, HIGH = "_low", "_high"
"""Ends of the names of columns, such as dev_low."""

KIND, VERSION, COMMAND = "calibration", 1, "zoo calibrate"


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """about: what it is of, JSON types.  targets: one entry each.  keys: of the measured sequences, uint64 (N,), see
    zoo.data.splits.keys.  path: the file that it was read from."""

    about: Mapping[str, Any]
    targets: Sequence[Conformal]
    keys: np.ndarray
    path: Path | None = None

    def half_widths(self, predicted: np.ndarray, spread: np.ndarray | None, coverage: float = COVERAGE) -> np.ndarray:
        """Half the width of each interval: predictions, float32 (N, T), and for an ensemble their standard deviations
        over members -> float32 (N, T). Raises ZooError for a coverage that so few measured sequences do not allow."""
        halves = np.empty(predicted.shape, np.float32)
        for t, one in enumerate(self.targets):
            halves[:, t] = one.half_widths(predicted[:, t], None if spread is None else spread[:, t], coverage)
        return halves

    def entry(self, coverage: float) -> dict[str, Any]:
        """What the description of a run says about its intervals."""
        return {"calibration": {"file": str(self.path), "coverage": coverage, **self.about}}

    def statement(self, targets: Sequence[str], coverage: float = COVERAGE) -> str:
        """The widths of the intervals that the measured sequences need, in words."""
        ways = {
            "spread": "times the spread over members",
            "neighbours": "times the mean error of rows with similar predictions",
            "constant": "for every sequence",
        }
        factors = ", ".join(
            f"{name} +- {one.factor(coverage):.3g}" for name, one in zip(targets, self.targets, strict=True)
        )
        return (
            f"{coverage:.0%} intervals, {ways[self.targets[0].scale.kind]}: {factors}; from {self.about['rows']:,} "
            f"rows, of which {self.targets[0].blocks:,} blocks that do not overlap count"
        )


def save(calibration: Calibration, path: Path, overwrite: bool = False) -> None:
    """Write the file, whole or not at all."""
    arrays = {"keys": calibration.keys}
    scales = []
    for t, one in enumerate(calibration.targets):
        arrays |= {f"ratios{t}": one.ratios, f"reached{t}": one.reached}
        arrays |= {f"at{t}": one.scale.at, f"errors{t}": one.scale.errors}
        scales.append({"kind": one.scale.kind, "smallest": one.scale.smallest, "blocks": one.blocks})
    with replacing(path, overwrite) as partial:
        model_files.write(partial, KIND, VERSION, {**calibration.about, "scales": scales}, arrays)


def read(path: Path) -> Calibration:
    """Raises ZooError unless the file is a whole calibration."""
    about, arrays = model_files.read(path, KIND, VERSION, COMMAND)
    try:
        targets = [
            Conformal(
                DifficultyScale(one["kind"], one["smallest"], arrays[f"at{t}"], arrays[f"errors{t}"]),
                arrays[f"ratios{t}"], arrays[f"reached{t}"], one["blocks"],
            )
            for t, one in enumerate(about.pop("scales"))
        ]  # fmt: skip
        keys = arrays["keys"]
        whole = len(targets) == len(about["targets"]) and all(map(_is_whole, targets)) and keys.dtype == np.uint64
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise ZooError(f"{path}: is damaged: its numbers are not those of a calibration; make it again ({COMMAND})")
    return Calibration(about, targets, keys, path)


def _is_whole(one: Conformal) -> bool:
    """Whether the numbers can be those of a calibration."""
    arrays = (one.ratios, one.reached, one.scale.at, one.scale.errors)
    return (
        all(array.dtype == np.float64 and array.ndim == 1 and np.isfinite(array).all() for array in arrays)
        and len(one.ratios) == len(one.reached) >= one.blocks > 0
        and len(one.scale.at) == len(one.scale.errors)
        and (one.scale.kind in ("constant", "spread") or (one.scale.kind == "neighbours" and len(one.scale.at) > 0))
        and one.scale.smallest > 0
        and bool((np.diff(one.scale.at) > 0).all() and (one.scale.errors >= 0).all())
        and bool((np.diff(one.ratios) >= 0).all() and (np.diff(one.reached) > 0).all() and one.reached[0] > 0)
        and abs(one.reached[-1] - one.widest_coverage()) < 1e-9
    )


def opened(options: CalibratedOptions, spec: ModelSpec, rc: str | None) -> Calibration | None:
    """The calibration that was asked for, checked to be of this model; None without one.

    Raises ZooError as `read` and `model_files.check` do, and for a coverage that it does not allow.
    """
    if options.calibration is None:
        return None
    found = read(options.calibration)
    model_files.check(options.calibration, found.about, COMMAND, spec, rc)
    for one in found.targets:
        one.check(options.coverage)
    return found
