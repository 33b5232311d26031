"""Whether two sets of numbers agree: arrays in, a report out. Knows no runtime and no file.

A value passes if |actual - expected| <= absolute + relative x |expected| (numpy.isclose) and both are finite. The
correlation is reported and decides nothing: with a wrong epsilon it is still 1.000.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from zoo.errors import ZooError
from zoo.options import Bounds, check


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far apart two values may be. Float32 results on a CPU differ by up to 1e-5; a wrong epsilon gives 1e-2."""

    relative: Annotated[float, Bounds(0, below=math.inf)] = 1e-4
    absolute: Annotated[float, Bounds(0, below=math.inf)] = 1e-4

    def __post_init__(self) -> None:
        check(self)

    def passes(self, expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
        """Whether each value passes, bool, of the shape of both arrays."""
        close = np.isclose(actual, expected, rtol=self.relative, atol=self.absolute)
        return close & np.isfinite(expected) & np.isfinite(actual)


@dataclasses.dataclass(frozen=True)
class Worst:
    """Where two tables differ most: the names of row and column, and both values."""

    record: str
    target: str
    expected: float
    actual: float


@dataclasses.dataclass(frozen=True)
class TableReport:
    """How two tables of N records and T targets differ.

    failures: number of the N x T values outside the tolerance.  pearson: the lowest over the targets, NaN where
    it is undefined (a constant column, a single record).
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
        """JSON types; numbers that are not finite become None."""
        return {"passed": self.passed, **_plain(dataclasses.asdict(self))}


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The largest difference in the output of one layer: `index` is its place, `expected` and `actual` both values."""

    name: str
    max_difference: float
    index: tuple[int, ...]
    expected: float
    actual: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON types; numbers that are not finite become None."""
        return _plain(dataclasses.asdict(self))


def compare(
    expected: np.ndarray,
    actual: np.ndarray,
    records: Sequence[str],
    targets: Sequence[str],
    tolerance: Tolerance | None = None,
) -> TableReport:
    """Compare two tables (N, T), N >= 1, with the names of their N rows and T columns.

    Raises ZooError if a shape does not fit the names.
    """
    tolerance = tolerance or Tolerance()
    shape = (len(records), len(targets))
    for name, table in (("expected", expected), ("actual", actual)):
        if table.shape != shape or not table.size:
            raise ZooError(f"{name}: expected a table of {shape[0]} records and {shape[1]} targets, got {table.shape}")
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    difference = _difference(expected, actual)
    row, column = (int(index) for index in np.unravel_index(np.argmax(difference), shape))
    return TableReport(
        records=shape[0],
        targets=shape[1],
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        pearson=float(np.min([_pearson(expected[:, i], actual[:, i]) for i in range(shape[1])])),
        worst=Worst(records[row], targets[column], float(expected[row, column]), float(actual[row, column])),
        failures=int(np.count_nonzero(~tolerance.passes(expected, actual))),
        tolerance=tolerance,
    )


LAYER_SHARE = 5e-6
"""Largest difference of a layer by default, as a share of its largest output, or of 1 where that is larger.

The rounding of float32 sums grows with their terms: outputs of a hidden layer reach 450, where two frameworks differ by
1e-4.
"""


def compare_layers(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], tolerance: Tolerance | None = None
) -> list[LayerReport]:
    """Compare outputs of layers by name, in the order of `expected`; by default within LAYER_SHARE of each layer.

    Raises ZooError for the first layer that is missing from `actual` or has another shape.
    """
    reports = []
    for name, output in expected.items():
        if name not in actual or actual[name].shape != output.shape or not output.size:
            got = actual[name].shape if name in actual else "nothing"
            raise ZooError(f"layer {name}: expected an output of shape {output.shape}, got {got}")
        left, right = output.astype(np.float64), actual[name].astype(np.float64)
        difference = _difference(left, right)
        index = tuple(int(i) for i in np.unravel_index(np.argmax(difference), difference.shape))
        largest = np.abs(left).max(where=np.isfinite(left), initial=1.0)
        bound = tolerance or Tolerance(relative=0.0, absolute=LAYER_SHARE * float(largest))
        passed = bool(bound.passes(left, right).all())
        worst = (float(difference.max()), index, float(left[index]), float(right[index]))
        reports.append(LayerReport(name, *worst, passed))
    return reports


def _difference(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """|actual - expected|; infinite where either is NaN, which is the worst case."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(actual - expected)
    return np.where(np.isnan(difference), np.inf, difference)


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
