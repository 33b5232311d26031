"""Do intervals contain what they promise? Coverage and width on measured sequences, by decile of the prediction.

Axes: N measured sequences, T targets.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import splits
from zoo.data.blocks import blocks
from zoo.data.dataset import Split
from zoo.errors import ZooError, counted
from zoo.evaluation import intervals, metrics
from zoo.evaluation.metrics import Interval
from zoo.prediction.calibration import Calibration
from zoo.prediction.conformal import Conformal
from zoo.system import figures

LEVELS = tuple(level / 20 for level in range(1, 20))
"""Coverages of the reliability curve."""

DECILES = 10


@dataclasses.dataclass(frozen=True)
class Decile:
    """Measured rows with a tenth of the predictions, from `low` to `high`: share inside their intervals, mean width."""

    low: float
    high: float
    rows: int
    coverage: float
    width: float


@dataclasses.dataclass(frozen=True)
class Reliability:
    """One target. promised: the coverage of the intervals.  coverage: the share of measurements inside, with a 95%
    interval over blocks.  width: mean.  curve: promised and found coverage at LEVELS, without those that too few blocks
    allow.  ranking: Spearman correlation of the difficulty with the error, None for intervals of one width."""

    target: str
    rows: int
    blocks: int
    promised: float
    coverage: Interval | None
    width: float
    deciles: list[Decile]
    curve: list[tuple[float, float]]
    ranking: Interval | None
    calibrated_blocks: int
    """Blocks of sequences that the calibration was made with."""

    @property
    def as_promised(self) -> bool:
        """Whether the coverage differs from the promised one by no more than chance: that of the sequences measured
        here, and that of those of the calibration, for which coverage has a beta distribution."""
        if self.coverage is None:
            return False
        here = (self.coverage.high - self.coverage.low) / 2
        there = 1.96 * math.sqrt(self.promised * (1 - self.promised) / (self.calibrated_blocks + 2))
        return abs(self.coverage.value - self.promised) <= math.hypot(here, there)

    @property
    def statement(self) -> str:
        """What the numbers mean, in a sentence or two."""
        found = self.coverage
        if found is None:
            return f"{self.target}: too few sequences to say how often the intervals contain the measurement"
        inside = "as promised" if self.as_promised else "not as promised"
        text = (
            f"{self.target}: {self.promised:.0%} intervals contain {found.value:.1%} of the measurements "
            f"({found.low:.1%} to {found.high:.1%}), {inside}; mean width {self.width:.2f}"
        )
        if self.ranking is None:
            return text
        if self.ranking.low <= 0:
            return (
                f"{text}. Wide intervals do not have larger errors (Spearman {self.ranking.value:.2f}, "
                f"{self.ranking.low:.2f} to {self.ranking.high:.2f}): do not rank sequences by their width"
            )
        return f"{text}. Wide intervals have larger errors, Spearman {self.ranking.value:.2f}"

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {**dataclasses.asdict(self), "statement": self.statement}


def reliability(
    calibration: Calibration,
    places: Mapping[str, int],
    data: Split,
    predicted: np.ndarray,
    spread: np.ndarray | None,
    coverage: float,
    seed: int = 0,
) -> list[Reliability]:
    """The reliability of each target on measured sequences.

    places: target -> its number among those of the calibration, in the order of the columns.  predicted, spread:
    float32 (N, T), the latter for an ensemble. Raises ZooError for a coverage that the calibration does not allow.
    """
    number = blocks(data.codes)
    return [
        _of_target(
            calibration.targets[place], name, data.targets[:, t], predicted[:, t],
            None if spread is None else spread[:, t], coverage, number, seed,
        )
        for t, (name, place) in enumerate(places.items())
    ]  # fmt: skip


def _of_target(
    one: Conformal,
    name: str,
    observed: np.ndarray,
    predicted: np.ndarray,
    spread: np.ndarray | None,
    coverage: float,
    number: np.ndarray,
    seed: int,
) -> Reliability:
    rows = np.flatnonzero(~np.isnan(observed))
    at, sd = predicted[rows], None if spread is None else spread[rows]
    difficulty = one.scale.of(at, sd)
    errors = np.abs(observed[rows].astype(np.float64) - at)
    half = one.half_widths(at, sd, coverage)
    inside, own = errors <= half, number[rows]
    levels = [level for level in LEVELS if level <= one.widest_coverage()]
    found = [(level, float((errors <= one.factor(level) * difficulty).mean())) for level in levels]
    ranking = None
    if one.scale.kind != "constant":
        ranking = intervals.mean_score(errors, difficulty[None], "spearman", seed=seed, groups=own)
    return Reliability(
        name,
        len(rows),
        len(np.unique(own)),
        coverage,
        _share(inside, own, seed),
        float(2 * half.mean()) if len(rows) else math.nan,
        _deciles(at, inside, 2 * half),
        found,
        ranking,
        one.blocks,
    )


def _share(inside: np.ndarray, number: np.ndarray, seed: int) -> Interval | None:
    """The share of rows inside their intervals, with a bootstrap interval that draws whole blocks."""
    place = np.unique(number, return_inverse=True)[1]
    count = int(place.max(initial=-1)) + 1
    if count < metrics.FEWEST:
        return None
    sizes, hits = np.bincount(place), np.bincount(place, inside)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), metrics.RESAMPLES)
    return metrics.percentiles(float(inside.mean()), (drawn @ hits) / (drawn @ sizes))


def _deciles(predicted: np.ndarray, inside: np.ndarray, widths: np.ndarray) -> list[Decile]:
    order = np.argsort(predicted, kind="stable")
    parts = [rows for rows in np.array_split(order, DECILES) if len(rows)]
    return [
        Decile(
            float(predicted[rows[0]]), float(predicted[rows[-1]]), len(rows), float(inside[rows].mean()),
            float(widths[rows].mean()),
        )
        for rows in parts
    ]  # fmt: skip


def unused_rows(calibration: Calibration, data: Split) -> np.ndarray:
    """Which rows have a sequence that the calibration was not made with, bool (N,).

    Raises ZooError if there are none: the intervals fit the others by construction.
    """
    rows = ~np.isin(splits.keys(data.codes), calibration.keys)
    if not rows.any():
        raise ZooError(
            f"--calibration: was made with all of {counted(len(data), 'sequences')}, which its "
            "intervals fit by construction; evaluate others, such as --split test"
        )
    return rows


def draw(found: Sequence[Reliability], unit: str, path: Path) -> None:
    """A row of panels for each target: found against promised coverage, and coverage and width by decile."""
    figure, panels = figures.new(9.6, 2.9 * len(found), len(found), 3)
    for (curve, shares, widths), one in zip(panels, found, strict=True):
        curve.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=(0, (4, 3)))
        curve.plot(*zip(*one.curve, strict=True), marker="o", markersize=3, color=figures.COLOURS[0])
        curve.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="promised coverage", ylabel="found coverage")
        curve.set_title(f"{one.target}, n = {one.rows:,}", fontsize=10, parse_math=False)
        number = np.arange(1, len(one.deciles) + 1)
        shares.bar(number, [decile.coverage for decile in one.deciles], color=figures.COLOURS[5])
        shares.axhline(one.promised, color="0.25", linewidth=1)
        shares.set(xlabel="decile of the prediction", ylabel="found coverage", ylim=(0, 1))
        shares.set_title(f"promised: {one.promised:.0%}", fontsize=10)
        widths.bar(number, [decile.width for decile in one.deciles], color=figures.COLOURS[4])
        widths.set_xlabel("decile of the prediction")
        widths.set_ylabel(f"mean width ({unit})", parse_math=False)
        for panel in (shares, widths):
            panel.set_xticks(number)
    figures.save(figure, path)
