"""What tables and tracks show for each target: its activity, then what says how sure and how unusual it is.

Every command that writes predictions takes the names and the numbers from here. Axes: N sequences, M members, T
targets, C columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.prediction import background as backgrounds
from zoo.prediction import calibration as calibrations
from zoo.prediction.background import PERCENTILE, Background
from zoo.prediction.calibration import HIGH, LOW, Calibration
from zoo.prediction.held_out import HeldOut
from zoo.prediction.options import COVERAGE, CalibratedOptions
from zoo.spec import SPREAD, ModelSpec, check_targets
from zoo.weights import spread


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a model: dev, for an ensemble dev_sd, with a background dev_percentile, and with a calibration
    dev_low and dev_high, target by target.

    With `held_out`, only members that held out a chromosome predict it, and there is a spread if several did for one.
    Raises ZooError if two columns would have the same name, and for both a background and `held_out`.
    """

    spec: ModelSpec
    background: Background | None = None
    targets: Sequence[int] | None = None
    """Numbers of the targets that are shown; None for all."""
    held_out: HeldOut | None = None
    calibration: Calibration | None = None
    coverage: float = COVERAGE

    def __post_init__(self) -> None:
        if self.background is not None and self.held_out is not None:
            raise ZooError(
                f"--background {self.background.path}: is of predictions by all members; it does not apply with "
                "--held-out, where some of them predict"
            )
        check_targets(self.names)
        if self.calibration is not None and self.held_out is not None:
            raise ZooError("--calibration: is of all members of an ensemble; leave out --held-out")

    @property
    def shown(self) -> list[str]:
        """Names of the T targets that are shown."""
        return [self.spec.targets[number] for number in self._targets]

    @property
    def has_spread(self) -> bool:
        """Whether standard deviations are shown."""
        return bool(self.spec.members) and (self.held_out is None or self.held_out.most > 1)

    @property
    def may_miss(self) -> bool:
        """Whether a standard deviation may be missing: that over the only member that held out a chromosome."""
        return self.has_spread and self.held_out is not None

    def used(self, contigs: Sequence[str]) -> np.ndarray | None:
        """The members that predict sequences of these chromosomes, bool (N, M); None if all do. Raises ZooError for a
        chromosome that no member held out."""
        return None if self.held_out is None else self.held_out.rows(contigs)

    def entry(self) -> dict[str, Any]:
        """What the description of a run says about the background, and how many members predicted each chromosome."""
        held_out = {} if self.held_out is None else {"held_out_members": self.held_out.counts}
        of_calibration = {} if self.calibration is None else self.calibration.entry(self.coverage)
        return backgrounds.entry(self.background) | held_out | of_calibration

    @property
    def names(self) -> list[str]:
        """Names of the C columns."""
        ends = ["", *([SPREAD] if self.has_spread else []), *([f"_{PERCENTILE}"] if self.background else [])]
        ends += [LOW, HIGH] if self.calibration else []
        return [f"{target}{end}" for target in self.shown for end in ends]

    def chosen(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of all targets of all members, float32 (N, ...) -> those of the shown targets, (N, M * T)."""
        if self.targets is None:
            return numbers
        return spread.by_member(numbers, self.spec)[:, :, self.targets].swapaxes(0, 1).reshape(len(numbers), -1)

    def over_members(self, numbers: np.ndarray, used: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation, float32 (N, T) each; None in place of the latter if it is not shown.

        numbers: of all members, see members.Each, float32 (N, M * T).  used: which members predict each sequence, bool
        (N, M); by default all. The standard deviation over one member is NaN.
        """
        if not self.spec.members:
            return numbers, None
        mean, sd = spread.mean_and_sd(self.by_member(numbers), None if used is None else used.T[:, :, None])
        return mean, sd if self.has_spread else None

    def by_member(self, numbers: np.ndarray) -> np.ndarray:
        """float32 (N, M * T) -> (M, N, T)."""
        members = numbers.shape[1] // len(self._targets)
        return np.moveaxis(numbers.reshape(len(numbers), members, len(self._targets)), 1, 0)

    def beside(self, mean: np.ndarray, *others: np.ndarray | None) -> np.ndarray:
        """float32 (N, T) each, those that the model has -> (N, C), in the order of `names`."""
        shown = [part for part in (mean, *others) if part is not None]
        return mean if len(shown) == 1 else np.stack(shown, -1).reshape(len(mean), -1)

    def of(self, numbers: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
        """Numbers of all members -> (N, C); see over_members."""
        mean, sd = self.over_members(numbers, used)
        percentiles = self.background.percentiles(mean, self.targets) if self.background else None
        if self.calibration is None:
            return self.beside(mean, sd, percentiles)
        half = self.calibration.half_widths(mean, sd, self.coverage)
        return self.beside(mean, sd, percentiles, mean - half, mean + half)

    @property
    def _targets(self) -> Sequence[int]:
        return range(len(self.spec.targets)) if self.targets is None else self.targets


def opened(
    spec: ModelSpec,
    rc: str | None,
    background: str | Path | None = None,
    calibrated: CalibratedOptions = CalibratedOptions(),  # noqa: B008 - frozen
    held_out: HeldOut | None = None,
) -> Columns:
    """The columns for a model, with the files of a background and a calibration. Raises ZooError unless both are of
    this model, and the calibration allows the coverage."""
    return Columns(
        spec,
        backgrounds.opened(background, spec, rc),
        held_out=held_out,
        calibration=calibrations.opened(calibrated, spec, rc),
        coverage=calibrated.coverage,
    )
