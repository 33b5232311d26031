"""A search from start to finish: the space, the data, the study, its workers, the confirmation, the report."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from zoo.comparison import contenders
from zoo.comparison.contenders import Contender, Step, Training
from zoo.data import dataset
from zoo.data.dataset import Dataset
from zoo.data.labelled import Layout
from zoo.errors import ZooError, counted, require
from zoo.search import confirm, objective, report, results, space_files, trial, workers
from zoo.search import space as spaces
from zoo.search.confirm import Confirmation
from zoo.search.objective import Objective
from zoo.search.search_options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import JOURNAL, Study, create, repair, require_optuna
from zoo.search.trial import Trainings
from zoo.search.workers import Worker


@dataclasses.dataclass(frozen=True)
class Data:
    """The data to read. targets: columns; by default the targets of the space."""

    path: Path
    targets: tuple[str, ...] = ()
    allow_leakage: bool = False
    layout: Layout = dataclasses.field(default_factory=Layout)

    def read(self, space: Space) -> Dataset:
        targets = self.targets or tuple(space.model["targets"])
        return dataset.read(
            self.path, targets, self.allow_leakage, length=space.model["sequence_length"], layout=self.layout
        )


@dataclasses.dataclass(frozen=True)
class Request:
    """All that a worker process needs to know."""

    space: Space
    objectives: tuple[Objective, ...]
    options: SearchOptions
    data: Data
    command: str = ""

    @property
    def folder(self) -> Path:
        return self.options.output

    def study(self) -> Study:
        return Study(
            self.folder, self.space, self.objectives, self.options,
            lambda point: spaces.complaint(self.space, point) is None,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class SearchReporter:
    """Receives progress: `note(line)` for the user, `began(number of trainings to come)`, `ended(study, number of the
    trial)`, and `step` with the progress of each training."""

    note: Callable[[str], None] = lambda _: None
    began: Callable[[int], None] = lambda _: None
    ended: Callable[[Study, int], None] = lambda *_: None
    step: Callable[[Step], None] = lambda _: None


class Result(NamedTuple):
    """comparisons: those of the confirmation, empty without one."""

    study: Study
    comparisons: list[Confirmation]


def read_space(given: str, options: SearchOptions) -> Space:
    """The space of a file or of an architecture that comes with one, with the settings that `options` fix.

    Raises ZooError for an unknown name, an invalid file or an unknown setting.
    """
    path = Path(given)
    if path.suffix in space_files.SWEEP_SUFFIXES:
        space = space_files.read_sweep(path, options.model)
    else:
        space = space_files.read(path) if path.suffix == ".toml" else space_files.of_model(given)
        if options.model:
            raise ZooError("--model: only applies to a sweep file; the space itself names its model")
    for text in options.fix:
        name, equals, value = text.partition("=")
        if not equals:
            raise ZooError(f"--fix: expected NAME=VALUE, got {text!r}")
        space = space.fixed(name, _value(value))
    return space


def _value(text: str) -> Any:
    """A TOML value; any other text is itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def run(
    given: str, data: Data, options: SearchOptions, reporter: SearchReporter | None = None, command: str = ""
) -> Result:
    """Search and confirm; leave a whole folder of the study.

    Raises ZooError for bad input before anything is written; MissingDependency for a missing library or device.
    """
    reporter = reporter or SearchReporter()
    require("torch", "train")
    require_optuna()
    require("matplotlib", "search", "zoo search")
    space = read_space(given, options)
    options = options.settled(space.sweep)
    for line in spaces.check(space, options.skip_impossible):
        reporter.note(line)
    whole = data.read(space)
    for line in whole.notes:
        reporter.note(line)
    source = trial.without_test(whole)
    objectives = objective.parse(options.objective or space.metrics, source.targets)
    if options.confirm is not None and whole.test is None:
        raise ZooError(f"--confirm: {whole.source} has no test split, which the confirmation needs")
    others = confirm.against(space, options.against, options.output)
    request = Request(space, objectives, options, data, command)
    with _new_study(request, whole):
        study = request.study()
    _search(request, source, study, reporter)
    results.write(study, source)
    comparisons = _confirm(request, whole, study, others, reporter) if options.confirm else []
    report.write(study, comparisons, command)
    return Result(study, comparisons)


@contextlib.contextmanager
def _new_study(request: Request, data: Dataset) -> Iterator[None]:
    """Make the folder and the study in its storage; remove a new folder again if the block fails."""
    folder, options = request.folder, request.options
    new = not folder.exists()
    if not new and not options.resume:
        raise ZooError(f"{folder}: exists already; give another --output, or continue its study with --resume")
    if new and options.resume and options.storage is None:
        raise ZooError(f"{folder}: contains no study to resume")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ZooError(f"{folder}: cannot be made ({error.strerror})") from None
    if not workers.living(folder):
        repair(Path(options.storage) if options.storage and "://" not in options.storage else folder / JOURNAL)
    facts = {
        "space": request.space.facts(),
        "data": {"sha256": data.sha256, "train": len(data.train), "validation": len(data.validation)},
        "objective": [str(one) for one in request.objectives],
        "seed": options.seed,
        "sampler": options.sampler,
        "pruner": options.pruner,
    }
    try:
        create(folder, facts, request.objectives, options)
        yield
    except ZooError:
        if new:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        raise


def _search(request: Request, source: Dataset, study: Study, reporter: SearchReporter) -> None:
    def receive(message: int | Step) -> None:
        if isinstance(message, Step):
            reporter.step(message)
        else:
            results.write(study, source)
            reporter.ended(study, message)

    count = request.options.workers
    left = (request.options.trials or 0) - sum(one.state.is_finished() for one in study.trials())
    reporter.began(max(left, 0))
    if count == 1:
        work(request, source, study, receive)
    elif killed := workers.in_processes(_work, [(request,)] * max(min(count, left), 0), receive):
        reporter.note(f"{killed} of {count} workers were killed; --resume continues the trials that they left")


def _work(request: Request, send: Callable[[Any], None]) -> None:
    """A worker in a process of its own."""
    work(request, trial.without_test(request.data.read(request.space)), request.study(), send)


def work(request: Request, source: Dataset, study: Study, send: Callable[[int | Step], None]) -> None:
    """Train trials until none is left. send: receives progress, and the number of each trial that has ended."""

    def step(step: Step) -> None:
        workers.stop_without_parent()
        worker.touch()
        send(step)

    options = _with_threads(request.options)
    train = Trainings(request.folder, request.space, request.objectives, options, source, step, request.command)
    with Worker(request.folder).at_work() as worker:
        while (drawn := study.draw(worker.name, worker.alive)) is not None:
            train(study, drawn)
            train.drop_weights(study)
            send(drawn.number)


def _with_threads(options: SearchOptions) -> SearchOptions:
    """Options with each worker's share of the cores; one worker leaves the number to PyTorch."""
    from zoo.system import machine

    if options.threads or options.workers == 1:
        return options
    return dataclasses.replace(options, threads=max(1, machine.cores() // options.workers))


def _confirm(
    request: Request, data: Dataset, study: Study, others: list[Contender], reporter: SearchReporter
) -> list[Confirmation]:
    ours = confirm.best(study)
    if not ours:
        raise ZooError(f"{request.folder}: no trial was trained to the end, so there is nothing to confirm")
    for one in ours:
        contenders.check_different([*others, one], confirm.OPTION)
    trainings = confirm.trainings([*ours, *others], request.folder, request.options)
    count = min(request.options.workers, len(trainings))
    reporter.note(f"confirming: {counted(len(trainings), 'trainings')}, then the test split")
    reporter.began(len(trainings))
    if count == 1:
        confirm_each(request, trainings, data, reporter.step)
    else:
        shares = [(request, trainings[first::count]) for first in range(count)]
        if workers.in_processes(_confirm_in_process, shares, reporter.step):
            raise ZooError(f"{request.folder}: a confirming process was killed; run the command again with --resume")
    for line in confirm.diverged(trainings):
        reporter.note(line)
    comparisons = confirm.compare(study, data, trainings, ours, others)
    confirm.write(request.folder, comparisons)
    return comparisons


def _confirm_in_process(request: Request, trainings: list[Training], send: Callable[[Any], None]) -> None:
    shared = dataclasses.replace(request, options=_with_threads(request.options))
    confirm_each(shared, trainings, request.data.read(request.space), send)


def confirm_each(request: Request, trainings: list[Training], source: Dataset, send: Callable[[Step], None]) -> None:
    """Train each of `trainings` that is not trained yet."""

    def step(step: Step) -> None:
        workers.stop_without_parent()
        send(step)

    for training in trainings:
        confirm.run(training, source, request.options, request.command, step)
        send(Step(training.folder.name, 1.0))
