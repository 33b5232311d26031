"""What tables and tracks show for each target: its activity, then what says how sure and how unusual it is.

Every command that writes predictions takes the names and the numbers from here. Axes: N sequences, M members, T
targets, C columns.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.prediction import spread
from zoo.prediction.background import PERCENTILE, Background
from zoo.spec import SPREAD, ModelSpec, check_targets


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a model: dev, for an ensemble dev_sd, and with a background dev_percentile, target by target.

    Raises ZooError if two columns would have the same name.
    """

    spec: ModelSpec
    background: Background | None = None

    def __post_init__(self) -> None:
        check_targets(self.names)

    @property
    def names(self) -> list[str]:
        """Names of the C columns."""
        ends = ["", *([SPREAD] if self.spec.members else []), *([f"_{PERCENTILE}"] if self.background else [])]
        return [f"{target}{end}" for target in self.spec.targets for end in ends]

    def of(self, numbers: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
        """Numbers of all members, see members.Each: float32 (N, M * T) -> (N, C).

        used: which members predict each sequence, bool (N, M); by default all. The spread over one member is NaN.
        """
        mean, sd = spread.over_members(numbers, self.spec, used)
        shown = [mean, *([] if sd is None else [sd])]
        if self.background is not None:
            shown.append(self.background.percentiles(mean))
        return mean if len(shown) == 1 else np.stack(shown, -1).reshape(len(numbers), -1)
