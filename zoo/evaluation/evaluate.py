"""Evaluate models on measured sequences: metrics with intervals, comparisons with one model, residuals.

Takes measured sequences and loaded models; reads and writes no sequence files. Axes: N sequences, T targets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from zoo.data import published, trained_sequences
from zoo.data.blocks import blocks
from zoo.data.dataset import Split
from zoo.data.splits import keys
from zoo.errors import CheckFailed, ZooError, counted
from zoo.evaluation import diagnosis, intervals, metrics, reliability
from zoo.evaluation.diagnosis import Diagnosis
from zoo.evaluation.intervals import Verdict
from zoo.evaluation.metrics import Interval, Score
from zoo.evaluation.reliability import Reliability
from zoo.options import Bounds, check
from zoo.prediction import calibration
from zoo.prediction.model import Model
from zoo.prediction.options import CalibratedOptions
from zoo.spec import MOST_SHOWN, ModelSpec, listed
from zoo.weights import ensembles, lookup, spread


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One model on one set of sequences; lists have an entry for each target."""

    label: str
    spec: ModelSpec
    runtime: str
    provider: str
    rc: str | None
    predicted: np.ndarray
    scores: list[Score]
    intervals: list[dict[str, Interval | None]]
    diagnoses: list[Diagnosis]
    """Empty unless requested."""


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """first - second in every metric, for each target; if an interval does not include 0, the models differ.

    second: the model that all others are compared with.
    """

    first: str
    second: str
    differences: list[dict[str, Interval | None]]

    def verdicts(self, target: int) -> dict[str, Verdict]:
        """Metric -> the verdict on `first`, for the target of that number."""
        return {name: intervals.verdict(name, found) for name, found in self.differences[target].items()}


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """How models are measured."""

    resamples: Annotated[int, Bounds(1)] = metrics.RESAMPLES
    """Bootstrap resamples for the 95% intervals."""

    seed: Annotated[int, Bounds(0)] = 0
    """Random seed of the bootstrap."""

    diagnosis: bool = False
    """Diagnose the residuals: whether they form two groups, and what they correlate with; --output also plots them."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class Report:
    """All results of an evaluation. targets: the first model's names.  columns: names in the data.
    comparisons: each of the other models with the reference, in order."""

    data: Split
    targets: tuple[str, ...]
    columns: tuple[str, ...]
    evaluations: list[Evaluation]
    comparisons: list[ModelComparison]
    settings: EvaluationOptions
    groups: np.ndarray
    """int (N,): number of the sequence of a row, from 0; both strands of a sequence have the same."""
    reliability: Sequence[Reliability] = ()
    """Of the intervals of a calibration, if one was given: one for each target."""
    left_out: int = 0
    """Rows that the calibration was made with, which `reliability` leaves out."""

    @property
    def sequences(self) -> int:
        return int(self.groups.max(initial=-1)) + 1


def choose(models: Mapping[str, Model], given: Sequence[str] = ()) -> dict[str, str]:
    """Target -> column of the data, for the targets to compare; names are those of the first model.

    given: TARGET, or TARGET=COLUMN if the column has another name; by default all targets that every model predicts.
    A published column is equivalent to its target, so models with either name can be compared.
    Raises ZooError if the models share no target, or do not share a given one.
    """
    first, *others = (_own_names(model) for model in models.values())
    shared = {target: name for target, name in first.items() if all(target in other for other in others)}
    if not shared:
        predicted = " and ".join(f"{listed(model.spec.targets)} for {label}" for label, model in models.items())
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
                f"--targets {named}: expected a target that every model predicts, {listed(list(shared.values()))}; "
                "TARGET=COLUMN takes a column of another name"
            )
        if shared[target] in columns or not column:
            wrong = f"{shared[target]} twice" if column else repr(text)
            raise ZooError(f"--targets: expected different targets, TARGET or TARGET=COLUMN, got {wrong}")
        columns[shared[target]] = column
    return columns


def not_shared(models: Mapping[str, Model]) -> list[str]:
    """Targets that not all of the models predict."""
    own = [_own_names(model) for model in models.values()]
    return list(dict.fromkeys(name for one in own for target, name in one.items() if any(target not in o for o in own)))


def _own_names(model: Model) -> dict[str, str]:
    """Target -> the model's name for it, in the model's order; published columns are listed by their target."""
    names = model.spec.targets
    targets = [published.target_of(name) for name in names]
    return dict(zip(targets if len(set(targets)) == len(names) else names, names, strict=True))


def sequence_length(models: Mapping[str, Model]) -> int:
    """Sequence length of all the models, in bases. Raises ZooError if they differ."""
    found = {label: model.spec.sequence_length for label, model in models.items()}
    (first, length), *others = found.items()
    for label, other in others:
        if other != length:
            raise ZooError(f"expected models of one sequence length, got {length} for {first} and {other} for {label}")
    return length


def labels(given: Sequence[str]) -> list[str]:
    """A short name for each set of weights: the folder of a run or the stem of a file, or the whole name if two are
    the same. Raises ZooError for weights that are given twice."""
    stems = [_label(name) for name in given]
    found = [stem if stems.count(stem) == 1 else name for stem, name in zip(stems, given, strict=True)]
    for name in found:
        if found.count(name) > 1:
            raise ZooError(f"weights: {name} is given twice; a comparison needs different weights")
    return found


def _label(name: str) -> str:
    if ensembles.is_ensemble(name):
        return ensembles.short_name(name)
    run = lookup.run_of(name)
    if run is not None:
        return run.resolve().name
    return Path(name).stem if Path(name).suffix else name


def check_different(models: Mapping[str, Model]) -> None:
    """Raise ZooError if two models, by label, have the same arrays in the same network."""
    seen: dict[tuple[str, str], str] = {}
    for label, model in models.items():
        first = seen.setdefault((model.spec.weights_id, model.spec.network_id), label)
        if first != label:
            raise ZooError(f"weights: {label} and {first} are the same; a comparison needs different weights")


def reference(given: Sequence[str], against: str | None) -> str:
    """The label of the weights that all others are compared with: `against`, a name or a label, else the first.

    Raises ZooError if `against` is not among the weights given.
    """
    found = labels(given)
    if against is None:
        return found[0]
    for name, label in zip(given, found, strict=True):
        if against in (name, label):
            return label
    raise ZooError(f"--against {against}: expected one of the weights that are compared, {', '.join(found)}")


def already_seen(weights: str, label: str, data: Split) -> str | None:
    """A warning if the run that made the weights was trained on this data, or chose its best epoch by it."""
    members = ensembles.members_of(weights)
    if len(members) > 1:
        found = (already_seen(str(one), lookup.short_name(one), data) for one in members)
        return next(filter(None, found), None)
    run = lookup.run_of(members[0])
    if run is None:
        return None
    counts = trained_sequences.count(run, data.codes, of_start=_begun_with(run))
    if not counts:
        return None
    words = {"train": "were trained on", "validation": "chose the best epoch"}
    used = " and ".join(f"{count:,} of {len(data):,} {words[side]}" for side, count in counts.items() if side in words)
    return f"{label}: {used}; their scores are too good: evaluate the test split, divided as in the training"


def _begun_with(run: Path) -> bool:
    """Whether the best weights of a run are the ones it began with, unchanged by its training."""
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
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Report:
    """Predict `data` with every model, compute the metrics of each, and compare all others with one. The members of an
    ensemble are measured too, each from the same predictions as their mean.

    models: by label.  against: the label of the model to compare with, by default the first.
    columns: target -> column, see `choose`, in the order of the measurements in `data`.
    on_progress: called with the number of targets whose intervals are computed, and of all.
    Intervals are a bootstrap that draws blocks: sequences that overlap, and both strands of one (zoo/data/blocks.py).
    Raises ZooError unless there is one column of measurements for each target, CheckFailed for a prediction that is
    not finite.
    """
    targets = tuple(columns)
    if settings.diagnosis and len(targets) > MOST_SHOWN:
        raise ZooError(
            f"--diagnosis: expected at most {MOST_SHOWN} targets, got {len(targets):,}; choose with --targets"
        )
    if data.targets.shape[1] != len(targets):
        raise ZooError(f"expected measurements of {', '.join(targets)}, got {data.targets.shape[1]} columns")
    predicted: dict[str, np.ndarray] = {}
    measured: dict[str, tuple[Model, ModelSpec]] = {}
    for label, model in models.items():
        for name, spec, numbers in _predictions(model, label, data, targets):
            predicted[name], measured[name] = numbers, (model, spec)
    groups = np.unique(keys(data.codes), return_inverse=True)[1]
    resampled = metrics.resample(
        data.targets,
        list(predicted.values()),
        resamples=settings.resamples,
        seed=settings.seed,
        groups=blocks(data.codes),
        on_progress=on_progress,
    )
    covariates, side = covariates_of(data, targets) if settings.diagnosis else [], strands_of(data)
    evaluations = [
        Evaluation(
            label,
            spec,
            model.runtime,
            model.provider,
            model.rc,
            predicted[label],
            resampled.scores[number],
            resampled.intervals(number),
            [
                diagnosis.diagnose(data.targets[:, t] - predicted[label][:, t], covariates[t], side, groups)
                for t in range(len(targets) if settings.diagnosis else 0)
            ],
        )
        for number, (label, (model, spec)) in enumerate(measured.items())
    ]
    names = list(measured)
    place = 0 if against is None else names.index(against)
    comparisons = [
        ModelComparison(name, names[place], resampled.differences(number, place))
        for number, name in enumerate(names)
        if number != place
    ]
    return Report(data, targets, data.columns or tuple(columns.values()), evaluations, comparisons, settings, groups)


def _predictions(
    model: Model, label: str, data: Split, targets: tuple[str, ...]
) -> Iterator[tuple[str, ModelSpec, np.ndarray]]:
    """Label, spec and outputs for these targets, float32 (N, T): of a model, then of each member of an ensemble."""
    numbers = model.each.predict(data.codes)
    each = spread.by_member(numbers, model.spec)[..., places(model, targets)]
    wrong = ~np.isfinite(each).all(axis=(0, 2))
    if wrong.any():
        raise CheckFailed(
            f"{label}: {counted(wrong.sum(), 'predictions')} not finite, the first for row {wrong.argmax() + 1}"
        )
    yield label, model.spec, spread.mean_and_sd(each)[0] if model.spec.members else each[0]
    for number, (member, own) in enumerate(zip(model.spec.members, each, strict=False), 1):
        spec = dataclasses.replace(
            model.spec, architecture=member.architecture, weights_id=member.weights_id, members=()
        )
        yield f"{label}, member {number}", spec, own


def with_reliability(report: Report, model: Model, options: CalibratedOptions) -> Report:
    """The report of one model with the reliability of its calibrated intervals, on the sequences that the calibration
    was not made with. Raises ZooError for a calibration of another model, and if there are no such sequences."""
    found = calibration.opened(options, model.spec, model.rc)
    if found is None:
        return report
    rows = reliability.unused_rows(found, report.data)
    data = report.data.rows(rows)
    numbers = dict(zip(report.targets, places(model, report.targets), strict=True))
    sd = model.spread(data.codes)[:, list(numbers.values())] if model.spec.members else None
    predicted, seed = report.evaluations[0].predicted[rows], report.settings.seed
    measured = reliability.reliability(found, numbers, data, predicted, sd, options.coverage, seed)
    return dataclasses.replace(report, reliability=measured, left_out=len(rows) - len(data))


def places(model: Model, targets: Sequence[str]) -> list[int]:
    """The numbers of these targets of `choose` among those of a model."""
    own = list(_own_names(model))
    return [own.index(target if target in own else published.target_of(target)) for target in targets]


def strands_of(data: Split) -> np.ndarray:
    """Strand of each record according to its name, "+", "-" or "" if the name has none, (N,)."""
    return diagnosis.strands_of(data.names) if data.names is not None else np.full(len(data), "", "<U1")


def covariates_of(data: Split, targets: tuple[str, ...]) -> list[dict[str, np.ndarray]]:
    """Covariates of the residuals of each target, by name: the other targets, then GC content, float (N,)."""
    gc = diagnosis.gc_content(data.codes)
    return [
        {f"observed {name}": data.targets[:, o] for o, name in enumerate(targets) if o != t} | {"GC content": gc}
        for t in range(len(targets))
    ]
