"""A comparison of models from start to finish: check all, train each with several seeds, predict, measure, write.

Every training is a run folder in OUTPUT/runs. What was trained, and on which data, is in OUTPUT/settings.json, so that
a comparison is only continued with the same. Needs PyTorch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.comparison import contenders, results, speed
from zoo.comparison.contenders import Contender, Predictions, Step, Training
from zoo.comparison.options import ComparisonOptions
from zoo.comparison.results import METRIC, ComparedModel, ComparedModels, TargetScore, trained_once
from zoo.data import dataset
from zoo.data.dataset import Dataset
from zoo.data.labelled import Layout
from zoo.errors import CheckFailed, OutOfMemory, ZooError, counted, require
from zoo.options import made, names
from zoo.system import locks
from zoo.system.atomic import replacing
from zoo.training import run as training_run
from zoo.training import scores
from zoo.training.config import TrainingOptions, difference
from zoo.training.run_folder import RunFolder

OPTION = "--models"
"""The option that names the models."""

RUNS, SETTINGS, LOCK = "runs", "settings.json", "running.lock"
"""In the folder of a comparison: the run folders, what is trained on which data, and a lock while a process trains."""

PROBED = 2
"""Sequences that each network predicts before the first training, to see that it takes the data."""


@dataclasses.dataclass(frozen=True)
class ComparisonReporter:
    """Receives progress: `note(line)` for the user, `began(number of trainings)`, `ended(training, why it failed)`,
    `step` with the progress of a training, and `doing` with what comes after the trainings."""

    note: Callable[[str], None] = lambda _: None
    began: Callable[[int], None] = lambda _: None
    ended: Callable[[Training, str], None] = lambda *_: None
    step: Callable[[Step], None] = lambda _: None
    doing: Callable[[str], None] = lambda _: None


def compare_models(
    models: Sequence[str],
    data: str | Path,
    output: str | Path,
    *,
    targets: Sequence[str] = (),
    allow_leakage: bool = False,
    **options: Any,
) -> ComparedModels:
    """Train models on the same data and compare them, as `zoo compare-models` does, which describes the files.

    models: names (see zoo.list_models) or TOML files, each trained by its own recipe.  data: as for `zoo train`.
    targets: columns to predict, or TARGET=COLUMN; by default the targets of the first model.
    options: fields of ComparisonOptions, such as epochs, seeds, against and resume, and of Layout, such as split_by.

    Returns the comparison also if trainings failed: see `ComparedModels.failures`. Raises ZooError for bad input before
    anything is trained, MissingDependency without PyTorch or matplotlib.
    """
    own = {name: value for name, value in options.items() if name in names(ComparisonOptions)}
    rest = {name: value for name, value in options.items() if name not in own}
    layout = made(Layout, rest, names(ComparisonOptions))
    where = made(ComparisonOptions, {**own, "output": Path(output)})
    return run(tuple(models), Path(data), where, tuple(targets), allow_leakage, layout)


def run(
    models: tuple[str, ...],
    data: Path,
    options: ComparisonOptions,
    targets: tuple[str, ...] = (),
    allow_leakage: bool = False,
    layout: Layout | None = None,
    reporter: ComparisonReporter | None = None,
    command: str = "",
) -> ComparedModels:
    """Train and compare; see compare_models."""
    reporter = reporter or ComparisonReporter()
    require("matplotlib", "train", "figures")
    changes = {} if options.epochs is None else {"epochs": options.epochs}
    given = contenders.read(models, changes, OPTION)
    if not given:
        raise ZooError(f"{OPTION}: expected names of models or .toml files, got none")
    against = _against(options, given)
    source = dataset.read(
        data, targets or given[0].config.targets, allow_leakage, length=options.sequence_length, layout=layout
    )
    for line in source.notes:
        reporter.note(line)
    fitted = [one.fitted(source, OPTION) for one in given]
    contenders.check_different(fitted, OPTION)
    if options.threads:
        torch.set_num_threads(options.threads)
    where = TrainingOptions(output=options.output, device=options.device, threads=options.threads)
    seeds = range(options.seed, options.seed + options.seeds)
    todo = contenders.trainings(fitted, options.output / RUNS, seeds)
    parameters = {one.contender.label: _parameters(one, source, where) for one in todo[: len(fitted)]}
    with _folder(options, fitted, source):
        failures = _train(todo, source, where, reporter, command)
        found = _compared(todo, source, parameters, failures, options, against, reporter)
        found = dataclasses.replace(found, command=command)
        results.write(found, options.figure_format)
    return found


def _against(options: ComparisonOptions, given: Sequence[Contender]) -> str | None:
    if options.against is None:
        return None
    labels = [one.label for one in given]
    label = Path(options.against).stem
    if label not in labels:
        raise ZooError(f"--against {options.against}: expected one of the {OPTION}, {', '.join(labels)}")
    return label


def _parameters(training: Training, source: Dataset, where: TrainingOptions) -> int:
    """Make the network of a training and predict a few sequences with it: the number of its weights.

    Raises ZooError if it cannot be made or trained, or does not take the data.
    """
    try:
        trainer = training_run.make_trainer(training.job(where), source)
    except ZooError as error:
        raise ZooError(f"{OPTION} {training.contender.label}: {error}") from None
    codes = source.validation.codes[:PROBED]
    shape = scores.predict(trainer.model, codes, trainer.device).shape
    if shape != (expected := (len(codes), len(source.targets))):
        raise ZooError(f"{OPTION} {training.contender.label}: expected predictions of shape {expected}, got {shape}")
    return sum(weights.numel() for weights in trainer.model.parameters())


@contextlib.contextmanager
def _folder(options: ComparisonOptions, models: Sequence[Contender], source: Dataset) -> Iterator[None]:
    """Make the folder of a comparison, or check that it holds the same one; no other process writes there meanwhile."""
    folder = options.output
    facts = {"data": source.identity(), "models": {one.label: one.trained_as for one in models}}
    facts["models"] = {**_before(options, facts), **facts["models"]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(f"{folder}: cannot be made ({error.strerror})") from None
    lock = folder / LOCK
    if locks.is_held(lock):
        raise ZooError(f"{folder}: another process trains this comparison")
    with locks.held(lock):
        try:
            with replacing(folder / SETTINGS, overwrite=True) as partial:
                partial.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
            yield
        finally:
            lock.unlink(missing_ok=True)


def _before(options: ComparisonOptions, facts: dict[str, Any]) -> dict[str, Any]:
    """The models that were already compared in the folder, by label.

    Raises ZooError if it exists and is not to be resumed, or holds no comparison or one of other data or settings.
    """
    folder, path = options.output, options.output / SETTINGS
    # hidden files and the lock are what a killed process left
    found = {one.name for one in folder.glob("[!.]*")} - {LOCK}
    if not options.resume and (found or folder.is_file()):
        raise ZooError(f"{folder}: exists already; give another --output, or continue its comparison with --resume")
    if not options.resume or (folder.is_dir() and not found):
        return {}
    try:
        before = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise ZooError(f"{folder}: contains no comparison to resume") from None
    same = {name: before["models"].get(name, own) for name, own in facts["models"].items()}
    if (differs := difference({"data": before["data"], "models": same}, facts)) is not None:
        raise ZooError(f"{folder}: contains another comparison: {differs}; give another --output")
    known: dict[str, Any] = before["models"]
    return known


def _train(
    todo: Sequence[Training], source: Dataset, where: TrainingOptions, reporter: ComparisonReporter, command: str
) -> dict[Path, str]:
    """Train all that is not trained yet: run folder -> why its training failed."""
    failures: dict[Path, str] = {}
    left = [one for one in todo if not one.is_finished(source)]
    if len(left) < len(todo):
        reporter.note(f"{len(todo) - len(left)} of {len(todo)} trainings are finished already")
    reporter.began(len(left))
    for training in left:
        epochs = training.contender.most_epochs
        follow = contenders.following(training.folder.name, epochs, reporter.step)
        try:
            contenders.train(training, source, where, command, follow)
        except (CheckFailed, OutOfMemory) as error:
            failures[training.folder] = str(error)
        reporter.ended(training, failures.get(training.folder, ""))
    return failures


def _compared(
    todo: Sequence[Training],
    source: Dataset,
    parameters: dict[str, int],
    failures: dict[Path, str],
    options: ComparisonOptions,
    against: str | None,
    reporter: ComparisonReporter,
) -> ComparedModels:
    """Predict, compare and measure what was trained."""
    side = "validation" if source.test is None else "test"
    split = source.validation if source.test is None else source.test
    reporter.doing(f"predicting the {side} split")
    predicted = contenders.predictions(todo, split)
    reporter.doing("measuring the speed of predictions")
    weights = {one.contender.label: path for one in reversed(todo) if (path := RunFolder(one.folder).weights).is_file()}
    speeds = speed.fastest(weights, split.codes, options.threads)
    reporter.doing("computing intervals")
    models = []
    for label, number in parameters.items():
        own = [one for one in todo if one.contender.label == label]
        trained = [trained_once(one.seed, one.folder, failures.get(one.folder, "")) for one in own]
        scored = [
            TargetScore(predicted.score(label, target, METRIC), predicted.mean(label, target, "mse"))
            for target in range(len(source.targets))
        ]
        settings = own[0].contender.trained_as
        models.append(ComparedModel(label, settings, number, trained, scored, *speeds.get(label, (None, None))))
    # without a score last, in the order given
    models.sort(key=lambda model: -2.0 if model.pearson is None else model.pearson, reverse=True)
    if against is None and models[0].pearson is not None:
        against = models[0].label
    sequences = int(predicted.groups.max(initial=-1)) + 1
    facts = {**source.identity(), "side": side, "rows": len(split), "sequences": sequences,
             "sequence_length": source.sequence_length}  # fmt: skip
    compared = [_with_differences(model, predicted, against) for model in models]
    return ComparedModels(compared, source.targets, against, facts, options.output)


def _with_differences(model: ComparedModel, predicted: Predictions, against: str | None) -> ComparedModel:
    if against is None or model.label == against:
        return model
    scored = [
        dataclasses.replace(score, difference=predicted.difference(model.label, against, target, METRIC))
        for target, score in enumerate(model.scores)
    ]
    return dataclasses.replace(model, scores=scored)


def described(found: ComparedModels) -> str:
    """What the scores are of, for the title of a table."""
    data = found.data
    trainings = max(len(model.trainings) for model in found.models)
    return (
        f"{data['side']} split, {counted(data['rows'], 'rows')}, {counted(data['sequences'], 'sequences')}; "
        f"{counted(trainings, 'trainings')} of each model; 95% intervals over sequences and trainings"
    )
