"""What a search optimises: a metric of the validation split, arithmetic, or measured speed. Needs no library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zoo.errors import ZooError, did_you_mean
from zoo.evaluation.metrics import METRICS, SMALLER_IS_BETTER

LOSS, COST, SPEED = "loss", "cost", "speed"

VALIDATION = "validation"
"""First word of the columns of metrics.csv that objectives read."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """kind: one of METRICS, LOSS, COST or SPEED.  of: the target of a metric, the runtime of a speed."""

    kind: str
    of: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.of}" if self.of else self.kind

    @property
    def maximised(self) -> bool:
        return self.kind not in (LOSS, COST, *SMALLER_IS_BETTER)

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's word."""
        return "maximize" if self.maximised else "minimize"

    @property
    def column(self) -> str | None:
        """Column of metrics.csv; None for arithmetic and speed, which have none."""
        if self.kind in (COST, SPEED):
            return None
        return f"{VALIDATION}_{self.kind}" + (f"_{self.of}" if self.of else "")


def parse(texts: Sequence[str], targets: Sequence[str]) -> tuple[Objective, ...]:
    """Values of `--objective`; by default the Pearson correlation of the first target.

    Raises ZooError for an unknown metric, target or runtime.
    """
    found = tuple(_parse(text, tuple(targets)) for text in texts or [f"pearson:{targets[0]}"])
    if len(set(found)) < len(found):
        raise ZooError(f"--objective: expected different objectives, got {', '.join(texts)}")
    return found


def _parse(text: str, targets: tuple[str, ...]) -> Objective:
    known = [*(f"{metric}:{target}" for metric in METRICS for target in targets), LOSS, COST]
    if text in known:
        return Objective(*text.split(":", 1))
    kind, _, runtime = text.partition(":")
    if kind != SPEED or not runtime:
        raise ZooError(
            f"--objective: unknown metric {text!r}{did_you_mean(text, known)}; known objectives: "
            f"{', '.join(known)}, {SPEED}:RUNTIME"
        )
    from zoo.prediction import session

    if runtime not in session.runtime_names():
        known_runtimes = ", ".join(session.runtime_names())
        raise ZooError(f"--objective {text}: unknown runtime {runtime!r}; known runtimes: {known_runtimes}")
    if reason := session.missing(runtime):
        raise ZooError(f"--objective {text}: {reason}")
    return Objective(SPEED, runtime)


def from_column(column: str, logged_as: Mapping[str, str], where: str) -> str:
    """valid_pcc_dev, or validation_pearson_dev -> pearson:dev. logged_as: see contracts.ModelExtras."""
    ours = {theirs: word for word, theirs in logged_as.items()}
    side, _, rest = column.partition("_")
    metric, _, target = rest.partition("_")
    side, metric = ours.get(side, side), ours.get(metric, metric)
    if side == VALIDATION and metric == LOSS and not target:
        return LOSS
    if side != VALIDATION or metric not in METRICS or not target:
        words, validation = [logged_as.get(word, word) for word in METRICS], logged_as.get(VALIDATION, VALIDATION)
        raise ZooError(
            f"{where}: unknown metric {column!r}; expected {validation}_METRIC_TARGET, METRIC one of "
            f"{', '.join(words)}, or {validation}_{LOSS}"
        )
    return f"{metric}:{target}"


def to_logged(row: Mapping[str, Any], logged_as: Mapping[str, str]) -> dict[str, Any]:
    """A row of metrics.csv under the names that the tracker receives."""
    return {"_".join(logged_as.get(word, word) for word in name.split("_", 2)): value for name, value in row.items()}
