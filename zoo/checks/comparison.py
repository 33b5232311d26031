"""Are two sets of numbers the same? Arrays in, a report and a verdict out; knows no runtime and no file.

A value passes where |actual - expected| <= absolute + relative x |expected| (numpy.isclose); one that is not finite
never does. Correlation is reported and decides nothing: a wrong epsilon has r = 1.000.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import ZooError


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far apart two values may be. Float32 on a CPU differs by up to 1e-5, a wrong epsilon by 1e-2."""

    relative: float = 1e-4
    absolute: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("relative", "absolute"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ZooError(f"{name} tolerance: expected a number of at least 0, got {value}")


@dataclasses.dataclass(frozen=True)
class Worst:
    """Where two tables differ most: the names of row and column, and both values."""

    record: str
    target: str
    expected: float
    actual: float


@dataclasses.dataclass(frozen=True)
class Report:
    """How two tables of N records and T targets differ.

    failures: how many of the N x T values are outside the tolerance.  pearson: the lowest over the targets, NaN where
    it is not defined (a constant column, a single record).
    """

    records: int
    targets: int
    max_difference: float
    mean_difference: float
    pearson: float
    worst: Worst
    failures: int
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        return self.failures == 0

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; numbers that are not finite become None."""
        return {"passed": self.passed, **_plain(dataclasses.asdict(self))}


def compare(
    expected: np.ndarray,
    actual: np.ndarray,
    records: Sequence[str],
    targets: Sequence[str],
    tolerance: Tolerance | None = None,
) -> Report:
    """Compare two tables (N, T), N >= 1, with the names of their N rows and T columns.

    Raises ZooError if the shapes differ or do not fit the names.
    """
    tolerance = tolerance or Tolerance()
    shape = (len(records), len(targets))
    for name, table in (("expected", expected), ("actual", actual)):
        if table.shape != shape or not table.size:
            raise ZooError(f"{name}: expected a table of {shape[0]} records and {shape[1]} targets, got {table.shape}")
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    difference = _difference(expected, actual)
    row, column = (int(index) for index in np.unravel_index(np.argmax(difference), shape))
    return Report(
        records=shape[0],
        targets=shape[1],
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        pearson=float(np.min([_pearson(expected[:, i], actual[:, i]) for i in range(shape[1])])),
        worst=Worst(records[row], targets[column], float(expected[row, column]), float(actual[row, column])),
        failures=int(np.count_nonzero(~_close(expected, actual, tolerance))),
        tolerance=tolerance,
    )


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """How far one layer's output is off, at most; `index` is where, `expected` and `actual` both values there."""

    name: str
    max_difference: float
    index: tuple[int, ...]
    expected: float
    actual: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; numbers that are not finite become None."""
        return _plain(dataclasses.asdict(self))


def compare_layers(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], tolerance: Tolerance | None = None
) -> list[LayerReport]:
    """Compare layer outputs of equal shapes, in the order of `expected`; the first that fails is where paths part.

    Raises ZooError at the first layer that is missing from `actual` or has another shape.
    """
    tolerance = tolerance or Tolerance(relative=0.0)
    reports = []
    for name, wanted in expected.items():
        if name not in actual or actual[name].shape != wanted.shape or not wanted.size:
            got = actual[name].shape if name in actual else "nothing"
            raise ZooError(f"layer {name}: expected an output of shape {wanted.shape}, got {got}")
        left, right = wanted.astype(np.float64), actual[name].astype(np.float64)
        difference = _difference(left, right)
        index = tuple(int(i) for i in np.unravel_index(np.argmax(difference), difference.shape))
        passed = bool(_close(left, right, tolerance).all())
        reports.append(
            LayerReport(name, float(difference.max()), index, float(left[index]), float(right[index]), passed)
        )
    return reports


def _difference(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """|actual - expected|, infinite where either is not a number: the worst there is."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(actual - expected)
    return np.where(np.isnan(difference), np.inf, difference)


def _close(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    close = np.isclose(actual, expected, rtol=tolerance.relative, atol=tolerance.absolute)
    return close & np.isfinite(expected) & np.isfinite(actual)


def _pearson(expected: np.ndarray, actual: np.ndarray) -> float:
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()) or not (np.ptp(expected) and np.ptp(actual)):
        return math.nan
    return float(np.corrcoef(expected, actual)[0, 1])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
