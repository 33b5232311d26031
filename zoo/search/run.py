"""A search from start to finish: the space, the data, the study, its workers, the confirmation, what is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo import errors
from zoo.data import dataset
from zoo.data.dataset import Dataset
from zoo.data.labelled import Layout
from zoo.errors import ZooError
from zoo.evaluation import figures as evaluation_figures
from zoo.search import check, confirm, objective, report, results, space_file, sweep, trial, workers
from zoo.search.confirm import Confirmation
from zoo.search.objective import Objective
from zoo.search.options import SearchOptions
from zoo.search.space import Point, Space
from zoo.search.study import JOURNAL, Drawn, Study, create, mend, require
from zoo.search.trial import Trainings
from zoo.search.workers import Worker
from zoo.training.trainer import Reporter


@dataclasses.dataclass(frozen=True)
class Data:
    """What is read. targets: columns; none for those of the space."""

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
    """What is to be done: all that a process needs to know."""

    space: Space
    objectives: tuple[Objective, ...]
    options: SearchOptions
    data: Data
    command: str = ""

    @property
    def folder(self) -> Path:
        return self.options.output

    def study(self) -> Study:
        return Study(self.folder, self.space, self.objectives, self.options, self._possible)

    def _possible(self, point: Point) -> bool:
        return check.complaint(self.space, point) is None


@dataclasses.dataclass(frozen=True)
class Ended:
    """A trial is done."""

    number: int


@dataclasses.dataclass(frozen=True)
class Step:
    """How much of a trial or of a training is done, 0 to 1."""

    name: str
    done: float


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a caller hears: a line for the user, how many trainings are to come, that a trial has ended, and how far
    each training is."""

    note: Callable[[str], None] = lambda _: None
    began: Callable[[int], None] = lambda _: None
    ended: Callable[[Study, int], None] = lambda *_: None
    step: Callable[[Step], None] = lambda _: None


@dataclasses.dataclass(frozen=True)
class Result:
    """study: with all its trials.  comparisons: of the confirmation, none where there was none."""

    study: Study
    comparisons: list[Confirmation]


def read_space(given: str, options: SearchOptions) -> Space:
    """A file, or the name of an architecture that comes with a space, with what `options` fix.

    Raises ZooError if it is none, or holds what there is not.
    """
    path = Path(given)
    if path.suffix in sweep.SUFFIXES:
        space = sweep.read(path, options.model)
    else:
        space = space_file.read(path) if path.suffix == ".toml" else space_file.of_model(given)
        if options.model:
            raise ZooError("--model: is for a sweep file; a space says itself what it begins with")
    for text in options.fix:
        name, equals, value = text.partition("=")
        if not equals:
            raise ZooError(f"--fix: expected NAME=VALUE, got {text!r}")
        space = space.fixed(name, _value(value))
    return space


def _value(text: str) -> Any:
    """As TOML has it; else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def run(given: str, data: Data, options: SearchOptions, heard: Heard | None = None, command: str = "") -> Result:
    """Search. Leaves a whole folder of the study.

    Raises ZooError for whatever does not fit together, before anything is written; MissingDependency for a library or
    a device that is not there.
    """
    heard = heard or Heard()
    errors.require("torch", "train")
    require()
    evaluation_figures.require()
    space = read_space(given, options)
    options = options.settled(space.sweep)
    for line in check.check(space, options.skip_impossible):
        heard.note(line)
    read = data.read(space)
    for line in read.notes:
        heard.note(line)
    source = trial.without_test(read)
    objectives = objective.parse(options.objective or space.metrics, source.targets)
    others = _checked_confirmation(space, options, read)
    request = Request(space, objectives, options, data, command)
    with _made(request, read):
        study = request.study()
    _search(request, source, study, heard)
    results.write(study, source)
    comparisons = _confirm(request, read, study, others, heard) if options.confirm else []
    report.write(study, comparisons, command)
    return Result(study, comparisons)


def _checked_confirmation(space: Space, options: SearchOptions, read: Dataset) -> list[confirm.Contender]:
    if options.confirm is not None and read.test is None:
        raise ZooError(f"--confirm: {read.source} has no test split; --confirm needs one that the search has not seen")
    return confirm.against(space, options.against)


@contextlib.contextmanager
def _made(request: Request, read: Dataset) -> Iterator[None]:
    """The folder and the study in its storage; the folder goes again if that fails."""
    folder, options = request.folder, request.options
    new = not folder.exists()
    if not new and not options.resume:
        raise ZooError(f"{folder}: exists already; give another --output, or --resume to go on with its study")
    if new and options.resume and options.storage is None:
        raise ZooError(f"{folder}: there is no study to resume")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ZooError(f"{folder}: cannot be made ({error.strerror})") from None
    if not workers.living(folder):
        mend(Path(options.storage) if options.storage and "://" not in options.storage else folder / JOURNAL)
    facts = {
        "space": request.space.facts(),
        "data": {"sha256": read.sha256, "train": len(read.train), "validation": len(read.validation)},
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


def _search(request: Request, source: Dataset, study: Study, heard: Heard) -> None:
    def hear(message: Ended | Step) -> None:
        if isinstance(message, Step):
            heard.step(message)
        else:
            results.write(study, source)
            heard.ended(study, message.number)

    count = request.options.workers
    todo = (request.options.trials or 0) - sum(one.state.is_finished() for one in study.trials())
    heard.began(max(todo, 0))
    if count == 1:
        work(request, source, study, hear)
        return
    killed = workers.in_processes(_work, [(request,)] * max(min(count, todo), 0), hear)
    if killed:
        heard.note(f"{killed} of {count} workers were killed; --resume takes up what they left, if others have not")


def _work(request: Request, send: Callable[[Any], None]) -> None:
    """A worker in a process of its own."""
    work(request, trial.without_test(request.data.read(request.space)), request.study(), send)


def work(
    request: Request,
    source: Dataset,
    study: Study,
    hear: Callable[[Ended | Step], None],
    train: Callable[[Study, Drawn], None] | None = None,
) -> None:
    """Train trials until none is left. train: trains one and tells the study; by default a training."""
    drawn: Drawn | None = None

    def step(done: float) -> None:
        workers.stop_without_parent()
        worker.touch()
        if drawn is not None:
            hear(Step(f"trial {drawn.number}", done))

    options = request.options
    threads = options.threads or _share(options.workers)
    shared = Trainings(
        request.folder, request.space, request.objectives, dataclasses.replace(options, threads=threads), source, step,
        request.command,
    )  # fmt: skip
    with Worker(request.folder).at_work() as worker:
        while (drawn := study.draw(worker.name, worker.alive)) is not None:
            (train or shared)(study, drawn)
            trial.drop_weights(study, shared)
            hear(Ended(drawn.number))


def _share(count: int) -> int | None:
    """Threads of each of `count` processes; None for PyTorch's own choice."""
    from zoo.system import machine

    return None if count == 1 else max(1, machine.cores() // count)


def _confirm(
    request: Request, read: Dataset, study: Study, others: list[confirm.Contender], heard: Heard
) -> list[Confirmation]:
    ours = confirm.best(study)
    if not ours:
        raise ZooError(f"{request.folder}: no trial was trained to the end, there is nothing to confirm")
    jobs = confirm.trainings([*ours, *others], request.folder, request.options)
    count = min(request.options.workers, len(jobs))
    heard.note(f"confirming: {len(jobs)} trainings, then the test split")
    heard.began(len(jobs))
    if count == 1:
        confirm_each(request, jobs, read, heard.step)
    else:
        shares = [(request, jobs[first::count]) for first in range(count)]
        if workers.in_processes(_confirm_in_process, shares, heard.step):
            raise ZooError(
                f"{request.folder}: a process that confirmed was killed; the same command with --resume goes on"
            )
    comparisons = confirm.compare(study, read, jobs, ours, others)
    confirm.write(request.folder, comparisons)
    return comparisons


def _confirm_in_process(request: Request, jobs: list[confirm.Training], send: Callable[[Any], None]) -> None:
    options = dataclasses.replace(request.options, threads=request.options.threads or _share(request.options.workers))
    shared = dataclasses.replace(request, options=options)
    confirm_each(shared, jobs, request.data.read(request.space), send)


def confirm_each(request: Request, jobs: list[confirm.Training], source: Dataset, hear: Callable[[Step], None]) -> None:
    """Train each, as far as it is not trained yet."""
    for job in jobs:
        following = _Following(job, hear)
        reporter = Reporter(step=following.step, epoch=following.epoch)
        confirm.run(job, source, request.options, reporter, request.command)
        hear(Step(job.folder.name, 1.0))


class _Following:
    """How far a training of a confirmation is."""

    def __init__(self, job: confirm.Training, hear: Callable[[Step], None]) -> None:
        self._job, self._hear, self._done = job, hear, 0

    def step(self, done: int, total: int) -> None:
        workers.stop_without_parent()
        self._hear(Step(self._job.folder.name, (self._done + done / total) / self._job.contender.settings["epochs"]))

    def epoch(self, row: dict[str, Any]) -> None:
        self._done = row["epoch"]
