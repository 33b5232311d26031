"""What a search looks for: metrics of the validation split, arithmetic, or measured speed. Needs no library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zoo.errors import ZooError, did_you_mean
from zoo.evaluation.metrics import METRICS, SMALLER_IS_BETTER

Direction = Literal["minimize", "maximize"]
"""As Optuna has it."""

LOSS, COST, SPEED = "loss", "cost", "speed"

VALIDATION = "validation"
"""Side of the columns of metrics.csv that are looked at."""


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
    def direction(self) -> Direction:
        return "maximize" if self.maximised else "minimize"

    @property
    def column(self) -> str | None:
        """Of metrics.csv; None for what is not there."""
        if self.kind in (COST, SPEED):
            return None
        return f"{VALIDATION}_{self.kind}" + (f"_{self.of}" if self.of else "")

    def better(self, first: float, second: float) -> bool:
        return first > second if self.maximised else first < second


def parse(texts: Sequence[str], targets: Sequence[str]) -> tuple[Objective, ...]:
    """What `--objective` says; by default the Pearson correlation of the first target.

    Raises ZooError for a metric, a target or a runtime that there is not.
    """
    found = tuple(_parse(text, tuple(targets)) for text in texts or [f"pearson:{targets[0]}"])
    if len(set(found)) < len(found):
        raise ZooError(f"--objective: expected different ones, got {', '.join(texts)}")
    return found


def _parse(text: str, targets: tuple[str, ...]) -> Objective:
    known = [*(f"{metric}:{target}" for metric in METRICS for target in targets), LOSS, COST]
    if text in known:
        return Objective(*text.split(":", 1))
    kind, _, of = text.partition(":")
    if kind == SPEED and of:
        from zoo.prediction import session

        if of not in session.runtime_names():
            there = ", ".join(session.runtime_names())
            raise ZooError(f"--objective {text}: no runtime is called {of!r}; there are {there}")
        if reason := session.missing(of):
            raise ZooError(f"--objective {text}: {reason}")
        return Objective(SPEED, of)
    raise ZooError(
        f"--objective: no metric is called {text!r}{did_you_mean(text, known)}; there are {', '.join(known)}, "
        f"{SPEED}:RUNTIME"
    )


def direction(text: str) -> Direction:
    """ "maximize" or "minimize", of what `--objective` has."""
    return Objective(text.partition(":")[0]).direction


def from_column(column: str, logged_as: Mapping[str, str], where: str) -> str:
    """valid_pcc_dev, or validation_pearson_dev -> pearson:dev. logged_as: see contracts.ModelExtras."""
    ours = {theirs: word for word, theirs in logged_as.items()}
    side, _, rest = column.partition("_")
    metric, _, target = rest.partition("_")
    side, metric = ours.get(side, side), ours.get(metric, metric)
    if side == VALIDATION and metric == LOSS and not target:
        return LOSS
    if side != VALIDATION or metric not in METRICS or not target:
        words = [logged_as.get(word, word) for word in METRICS]
        raise ZooError(
            f"{where}: no metric is called {column!r}; expected {logged_as.get(VALIDATION, VALIDATION)}_METRIC_TARGET, "
            f"METRIC one of {', '.join(words)}, or {logged_as.get(VALIDATION, VALIDATION)}_{LOSS}"
        )
    return f"{metric}:{target}"


def to_logged(row: Mapping[str, Any], logged_as: Mapping[str, str]) -> dict[str, Any]:
    """A row of metrics.csv under the names that trackers are given."""
    return {"_".join(logged_as.get(word, word) for word in name.split("_", 2)): value for name, value in row.items()}
