"""How good models are on measured sequences: metrics with intervals, comparisons with one of them, the residuals.

Reads no sequences, starts no runtime and writes nothing: it takes a Split and loaded models. Axes: N sequences, L
positions, T targets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.data import published, trained_sequences
from zoo.data.dataset import Split
from zoo.data.splits import keys
from zoo.errors import CheckFailed, ZooError
from zoo.evaluation import diagnosis, intervals, metrics
from zoo.evaluation.diagnosis import Diagnosis
from zoo.evaluation.intervals import Verdict
from zoo.evaluation.metrics import Interval, Score
from zoo.prediction.model import Model
from zoo.spec import ModelSpec
from zoo.weights import lookup


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One set of weights on one set of sequences; lists have an entry for each target."""

    label: str
    spec: ModelSpec
    runtime: str
    provider: str
    rc: str | None
    predicted: np.ndarray
    scores: list[Score]
    intervals: list[dict[str, Interval | None]]
    diagnoses: list[Diagnosis]


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """first - second, metric by metric, for each target; an interval without 0 says that they differ.

    second: the weights that all others are compared with.
    """

    first: str
    second: str
    differences: list[dict[str, Interval | None]]

    def verdicts(self, target: int) -> dict[str, Verdict]:
        """Metric -> what its interval says of `first`, for one target by its place."""
        return {name: intervals.verdict(name, found) for name, found in self.differences[target].items()}


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """How models are measured."""

    resamples: int = metrics.RESAMPLES
    """Bootstrap resamples for the 95% intervals."""

    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ZooError(f"resamples: expected at least 1, got {self.resamples}")
        if self.seed < 0:
            raise ZooError(f"seed: expected a whole number of at least 0, got {self.seed}")


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that is known after an evaluation. targets: the first model's names.  columns: those of the data.
    comparisons: of all others with one of the models, in their order."""

    data: Split
    targets: tuple[str, ...]
    columns: tuple[str, ...]
    evaluations: list[Evaluation]
    comparisons: list[ModelComparison]
    settings: EvaluationOptions
    groups: np.ndarray
    """int (N,): which sequence a row is, from 0; both strands of one are the same."""

    @property
    def sequences(self) -> int:
        return int(self.groups.max(initial=-1)) + 1


def choose(models: Mapping[str, Model], given: Sequence[str] = ()) -> dict[str, str]:
    """Target -> the column of the data that holds it, for what is to be compared; names are those of the first model.

    given: TARGET, or TARGET=COLUMN where the column has another name; none takes all targets that every model predicts.
    A published column stands for its target, so that models are compared whichever of both names they have.
    Raises ZooError if the models share no target, or not the one that was given.
    """
    first, *others = (_own_names(model) for model in models.values())
    shared = {target: name for target, name in first.items() if all(target in other for other in others)}
    if not shared:
        predicted = " and ".join(f"{', '.join(model.spec.targets)} for {label}" for label, model in models.items())
        raise ZooError(f"expected models that share a target, got {predicted}; evaluate one at a time")
    if not given:
        alike = {target: all(other[target] == name for other in others) for target, name in shared.items()}
        return {name: name if alike[target] else target for target, name in shared.items()}
    columns: dict[str, str] = {}
    for text in given:
        named, _, column = (text, "", text) if published.target_of(text) in shared else text.partition("=")
        target = published.target_of(named)
        if target not in shared:
            raise ZooError(
                f"--targets {named}: expected a target that every model predicts, {', '.join(shared.values())}; "
                "TARGET=COLUMN takes a column of another name"
            )
        if shared[target] in columns or not column:
            wrong = f"{shared[target]} twice" if column else repr(text)
            raise ZooError(f"--targets: expected different targets, TARGET or TARGET=COLUMN, got {wrong}")
        columns[shared[target]] = column
    return columns


def not_shared(models: Mapping[str, Model]) -> list[str]:
    """Targets that only some of the models predict."""
    own = [_own_names(model) for model in models.values()]
    return list(dict.fromkeys(name for one in own for target, name in one.items() if any(target not in o for o in own)))


def _own_names(model: Model) -> dict[str, str]:
    """Target -> what the model calls it, in the model's order: published columns by the target that they hold."""
    names = model.spec.targets
    targets = [published.target_of(name) for name in names]
    return dict(zip(targets if len(set(targets)) == len(names) else names, names, strict=True))


def sequence_length(models: Mapping[str, Model]) -> int:
    """L, bases, of all the models. Raises ZooError if they differ."""
    found = {label: model.spec.sequence_length for label, model in models.items()}
    (first, length), *others = found.items()
    for label, other in others:
        if other != length:
            raise ZooError(f"expected models of one sequence length, got {length} for {first} and {other} for {label}")
    return length


def labels(given: Sequence[str]) -> list[str]:
    """A short name for each set of weights: the folder of a run, else the file's stem; what was given where those are
    the same."""
    stems = [_label(name) for name in given]
    found = [stem if stems.count(stem) == 1 else name for stem, name in zip(stems, given, strict=True)]
    for name in found:
        if found.count(name) > 1:
            raise ZooError(f"weights: {name} is given twice; a comparison needs different weights")
    return found


def _label(name: str) -> str:
    run = lookup.run_of(name)
    if run is not None:
        return run.resolve().name
    return Path(name).stem if Path(name).suffix else name


def reference(given: Sequence[str], against: str | None) -> str:
    """The label of the weights that the others are compared with: `against`, as it was given or by its label, else the
    first. Raises ZooError if it is not among those given."""
    found = labels(given)
    if against is None:
        return found[0]
    for name, label in zip(given, found, strict=True):
        if against in (name, label):
            return label
    raise ZooError(f"--against {against}: expected one of the weights that are compared, {', '.join(found)}")


def already_seen(weights: str, label: str, data: Split) -> str | None:
    """A line that warns where the run that made the weights was trained on this data, or chose its best epoch by it."""
    run = lookup.run_of(weights)
    if run is None or _begun_with(run):
        return None
    counts = trained_sequences.count(run, data.codes)
    if not counts:
        return None
    words = {"train": "were trained on", "validation": "chose the best epoch"}
    told = " and ".join(f"{count:,} of {len(data):,} {words[side]}" for side, count in counts.items() if side in words)
    return f"{label}: {told}; scores on them flatter: evaluate the test split, divided as the training did"


def _begun_with(run: Path) -> bool:
    """Whether the best weights of a run are those it began with, which its training has not touched."""
    try:
        return json.loads((run / lookup.RUN_RECEIPTS).read_text()).get("best_epoch") == 0
    except (OSError, ValueError):
        return False


def evaluate(
    models: Mapping[str, Model],
    data: Split,
    columns: Mapping[str, str],
    settings: EvaluationOptions,
    against: str | None = None,
) -> Report:
    """Predict `data` with every model, by label, and measure: each on its own, and all others against one.

    against: the label of that one, by default the first.
    columns: target -> column, see `choose`, in the order of the measurements in `data`; the output of each model is
    found by the target's name.
    Intervals are bootstrap ones over sequences, the two strands of a sequence always drawn together.
    Raises ZooError if there is not one column of measurements for each target, CheckFailed if a prediction is not
    finite.
    """
    targets = tuple(columns)
    if data.targets.shape[1] != len(targets):
        raise ZooError(f"expected measurements of {', '.join(targets)}, got {data.targets.shape[1]} columns")
    predicted = {label: _predict(model, label, data, targets) for label, model in models.items()}
    groups = np.unique(keys(data.codes), return_inverse=True)[1]
    resampled = metrics.resample(
        data.targets, list(predicted.values()), resamples=settings.resamples, seed=settings.seed, groups=groups
    )
    covariates, side = covariates_of(data, targets), strands_of(data)
    evaluations = [
        Evaluation(
            label,
            model.spec,
            model.runtime,
            model.provider,
            model.rc,
            predicted[label],
            resampled.scores[number],
            resampled.intervals(number),
            [
                diagnosis.diagnose(data.targets[:, t] - predicted[label][:, t], covariates[t], side, groups)
                for t in range(len(targets))
            ],
        )
        for number, (label, model) in enumerate(models.items())
    ]
    names = list(models)
    place = 0 if against is None else names.index(against)
    comparisons = [
        ModelComparison(name, names[place], resampled.differences(number, place))
        for number, name in enumerate(names)
        if number != place
    ]
    return Report(data, targets, data.columns or tuple(columns.values()), evaluations, comparisons, settings, groups)


def _predict(model: Model, label: str, data: Split, targets: tuple[str, ...]) -> np.ndarray:
    """float32 (N, T): the outputs of the model that have these names."""
    own = list(_own_names(model))
    places = [own.index(target if target in own else published.target_of(target)) for target in targets]
    predicted = model.predict_codes(data.codes)[:, places]
    _check_finite(predicted, label)
    return predicted


def _check_finite(predicted: np.ndarray, label: str) -> None:
    wrong = ~np.isfinite(predicted).all(axis=1)
    if wrong.any():
        raise CheckFailed(
            f"{label}: {wrong.sum():,} predictions are not finite, the first for row {wrong.argmax() + 1}"
        )


def strands_of(data: Split) -> np.ndarray:
    """Strand of each record as its name tells it, "+", "-" or "" (N,)."""
    return diagnosis.strands_of(data.names) if data.names is not None else np.full(len(data), "", "<U1")


def covariates_of(data: Split, targets: tuple[str, ...]) -> list[dict[str, np.ndarray]]:
    """For each target, what its residuals are held against, by name: the other targets, then GC content, float (N,)."""
    gc = diagnosis.gc_content(data.codes)
    return [
        {f"observed {name}": data.targets[:, o] for o, name in enumerate(targets) if o != t} | {"GC content": gc}
        for t in range(len(targets))
    ]
