"""The study: which point is trained next, what is known of those before, in one of Optuna's storages.

Trial n is drawn from the seed, n and the trials before it, all of which are in the storage with their points: so one
worker draws the same trials again, killed or not. A trial is made with its point in one write; where two machines made
one at the same moment, the one that did not get the number that it was drawn for is set aside, and draws again. So no
point is trained twice, whoever draws. Needs the extra `search`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import MissingDependency, ZooError
from zoo.search.objective import Objective
from zoo.search.options import SearchOptions
from zoo.search.space import Parameter, Point, Range, Space, key
from zoo.system import locks

if TYPE_CHECKING:
    import optuna

JOURNAL, LOCK = "journal.log", "draw.lock"

FACTS, WORKER, ASIDE, REASON = "zoo", "worker", "set aside", "reason"
"""Attributes in the storage: of the study, what it searches; of a trial, who trains it, whether it does not count, and
why it failed."""

DRAWS = 20
"""How often the sampler may draw a point that is known before another one is taken by chance."""

CHANCES = 1000
"""How often such a point is drawn, where those that are left cannot be counted."""

COUNTABLE = 10_000
"""A space of at most so many points is gone through for those that are left."""

GRID = 100_000
"""Points of a grid at most: Optuna holds them in memory."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A trial to train. id: in the storage.  resumed: another worker began it."""

    id: int
    number: int
    point: Point
    resumed: bool = False


def require() -> None:
    """Raise MissingDependency without Optuna; keep it from writing to the terminal."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingDependency("Optuna is not installed; pip install 'deepstarr-zoo[search]' brings it")
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Study:
    """One study, as one worker sees it."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        objectives: tuple[Objective, ...],
        options: SearchOptions,
        possible: Callable[[Point], bool] = lambda _: True,
    ) -> None:
        require()
        self.folder, self.space, self.objectives, self.options = folder, space, objectives, options
        self._possible = possible
        self._storage = open_storage(options.storage, folder)
        self._study = self._load()
        self._id = self._storage.get_study_id_from_name(options.name)
        if options.sampler == "grid":
            self._grid()

    def _load(self) -> optuna.Study:
        import optuna

        return optuna.load_study(
            study_name=self.options.name,
            storage=self._storage,
            sampler=optuna.samplers.RandomSampler(),  # a shadow in memory draws, see _propose
            pruner=self._pruner(),
        )

    @property
    def analysed(self) -> optuna.Study:
        """For Optuna's own analyses."""
        return self._study

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All that count, in order."""
        return [trial for trial in self._all() if ASIDE not in trial.user_attrs]

    def _all(self) -> list[optuna.trial.FrozenTrial]:
        """Raises ZooError for a trial that something else put into the storage: nobody knows what it searches."""
        found = self._study.get_trials(deepcopy=False)
        for trial in found:
            if WORKER not in trial.user_attrs:
                raise ZooError(
                    f"{self.folder}: trial {trial.number} of the study {self.options.name!r} is not of zoo search, "
                    "which alone can add to it; begin another with --output and --name"
                )
        return found

    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """Those that were trained to the end, the best first; those of several objectives by their front, then by the
        first objective."""
        import optuna

        done = [trial for trial in self.trials() if trial.state == optuna.trial.TrialState.COMPLETE]
        front = {trial.number for trial in pareto(done, self.objectives)} if len(self.objectives) > 1 else set()
        sign = -1 if self.objectives[0].maximised else 1
        return sorted(done, key=lambda trial: (trial.number not in front, sign * trial.values[0], trial.number))

    def draw(self, worker: str, alive: Callable[[str], bool]) -> Drawn | None:
        """The next trial for `worker`, or one that a worker who is not alive has left; None where all are drawn."""
        with locks.held(self.folder / LOCK):
            while True:
                trials = self._all()
                for trial in trials:
                    if not trial.state.is_finished() and not alive(trial.user_attrs[WORKER]):
                        made = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
                        self._storage.set_trial_user_attr(made, WORKER, worker)
                        return Drawn(made, trial.number, dict(trial.params), resumed=True)
                if sum(ASIDE not in trial.user_attrs for trial in trials) >= (self.options.trials or 0):
                    return None
                proposed = self._propose(trials)
                if proposed is None:
                    return None
                drawn = self._make(proposed, worker)
                if drawn.number == len(trials):
                    return drawn
                self._storage.set_trial_user_attr(drawn.id, ASIDE, True)
                self.tell(drawn, None, "another machine drew at the same moment")

    def _make(self, proposed: optuna.trial.FrozenTrial, worker: str) -> Drawn:
        import optuna

        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=proposed.params,
            distributions=proposed.distributions,
            system_attrs=proposed.system_attrs,
            user_attrs={WORKER: worker},
        )
        made = self._storage.create_new_trial(self._id, template)
        return Drawn(made, self._storage.get_trial(made).number, dict(proposed.params))

    def _propose(self, trials: list[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
        """A point that is not known, drawn in a copy of the study in memory; None where there is none left."""
        import optuna

        number = len(trials)
        shadow = optuna.create_study(
            study_name=self.options.name,
            directions=[objective.direction for objective in self.objectives],
            sampler=self._sampler(number),
            pruner=self._pruner(),
        )
        shadow.add_trials(trials)
        known = {key(trial.params) for trial in trials if ASIDE not in trial.user_attrs}
        size = self.space.size()
        if size is not None and len(known) >= size:
            return None
        if self.options.sampler == "grid":
            return self._fresh(shadow, known, GRID)
        return self._fresh(shadow, known, DRAWS) or self._by_chance(known, number, shadow)

    def _by_chance(self, known: set[str], number: int, shadow: optuna.Study) -> optuna.trial.FrozenTrial | None:
        """Any point that is left, where the sampler insists on points that are known."""
        import optuna

        generator = np.random.default_rng((self.options.seed, number))
        size = self.space.size()
        if size is not None and size <= COUNTABLE:
            left = [point for point in self.space.points() if key(point) not in known and self._possible(point)]
            return _template(self.space, left[int(generator.integers(len(left)))]) if left else None
        shadow.sampler = optuna.samplers.RandomSampler(int(generator.integers(2**31)))
        return self._fresh(shadow, known, CHANCES)

    def _fresh(self, shadow: optuna.Study, known: set[str], draws: int) -> optuna.trial.FrozenTrial | None:
        """The first possible point that is not known of so many draws."""
        import optuna

        for _ in range(draws):
            if isinstance(shadow.sampler, optuna.samplers.GridSampler) and shadow.sampler.is_exhausted(shadow):
                return None
            asked = shadow.ask()
            point = self.space.choose(partial(suggest, asked))
            if key(point) not in known and self._possible(point):
                return shadow.get_trials(deepcopy=False)[-1]
            shadow.tell(asked, state=optuna.trial.TrialState.FAIL)
        return None

    def report(self, drawn: Drawn, epoch: int, value: float) -> bool:
        """Take up the value of an epoch. Whether the trial is hopeless."""
        if epoch not in self._storage.get_trial(drawn.id).intermediate_values:
            self._storage.set_trial_intermediate_value(drawn.id, epoch, value)
        return self.hopeless(drawn)

    def hopeless(self, drawn: Drawn) -> bool:
        """Whether the pruner would stop the trial after the newest epoch that was reported."""
        trial = self._storage.get_trial(drawn.id)
        return bool(trial.intermediate_values) and self._pruner().prune(self._study, trial)

    def note(self, drawn: Drawn, facts: dict[str, Any]) -> None:
        """Keep what a trial cost beside its values."""
        for name, value in facts.items():
            self._storage.set_trial_user_attr(drawn.id, name, value)

    def tell(self, drawn: Drawn, values: Sequence[float] | None, reason: str = "", pruned: bool = False) -> None:
        """End a trial. values: of the objectives, None for one that failed; reason: why it did."""
        import optuna

        states = optuna.trial.TrialState
        if reason:
            self._storage.set_trial_user_attr(drawn.id, REASON, reason)
        state = states.PRUNED if pruned else states.FAIL if values is None else states.COMPLETE
        self._storage.set_trial_state_values(drawn.id, state, values)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        import optuna

        seed = int(np.random.SeedSequence((self.options.seed, number)).generate_state(1)[0])
        if self.options.sampler == "random":
            return optuna.samplers.RandomSampler(seed)
        if self.options.sampler == "grid":

            class Grid(optuna.samplers.GridSampler):
                def after_trial(self, *_: Any) -> None:
                    """Nothing: Optuna's own stops a running study at the last point, and a shadow does not run."""

            return Grid(self._grid(), self.options.seed)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)

    def _grid(self) -> dict[str, Sequence[Any]]:
        """Parameter -> all its values. Raises ZooError where they cannot be counted or are too many."""
        total = 1
        grid: dict[str, Sequence[Any]] = {}
        for parameter in self.space.parameters:
            options = parameter.domain.options
            if options is None:
                raise ZooError(f"grid: {parameter.name} is a range without a step; give it one, or another --sampler")
            total, grid[parameter.name] = total * len(options), options
        if total > GRID:
            raise ZooError(f"grid: expected at most {GRID:,} points, got {total:,}; take another --sampler")
        return {name: list(options) for name, options in grid.items()}

    def _pruner(self) -> optuna.pruners.BasePruner:
        import optuna

        if len(self.objectives) > 1 or self.options.pruner == "none":
            return optuna.pruners.NopPruner()
        least = self.options.min_epochs or 1
        if self.options.pruner == "hyperband":
            epochs = self.space.most_epochs()
            return optuna.pruners.HyperbandPruner(
                min_resource=min(least, epochs), max_resource=epochs, reduction_factor=3
            )
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=least)


def create(folder: Path, facts: dict[str, Any], objectives: Sequence[Objective], options: SearchOptions) -> None:
    """Make the study in its storage, or, to resume, find it there. facts: what it searches and on which data.

    Raises ZooError if it is there already, or is another one than `facts` say, or the storage cannot be reached.
    """
    require()
    import optuna

    storage = open_storage(options.storage, folder)
    if options.name not in [study.study_name for study in storage.get_all_studies()]:
        made = optuna.create_study(
            study_name=options.name, storage=storage, directions=[objective.direction for objective in objectives]
        )
        made.set_user_attr(FACTS, facts)
        return
    study = optuna.load_study(study_name=options.name, storage=storage)
    before = study.user_attrs.get(FACTS, {})
    for name, now in facts.items():
        was = before.get(name)
        if was != now:
            raise ZooError(
                f"{folder}: the study {options.name!r} belongs to another {name}: {_difference(was, now)}; "
                "give another --output or --name"
            )
    if not options.resume:
        raise ZooError(f"{folder}: the study {options.name!r} is there already; --resume goes on with it")


def _difference(was: Any, now: Any) -> str:
    """The first entry of two tables that differs, or both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        name = next(name for name in [*now, *was] if was.get(name) != now.get(name))
        return f"{name} was {_short(was.get(name))}, is {_short(now.get(name))}"
    return f"was {_short(was)}, is {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def open_storage(storage: str | None, folder: Path) -> optuna.storages.BaseStorage:
    """A database URL, or a journal file, by default in the folder. Raises ZooError if it cannot be reached."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    try:
        if storage is not None and "://" in storage:
            return optuna.storages.get_storage(storage)
        path = Path(storage) if storage is not None else folder / JOURNAL
        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # noqa: BLE001 - each driver of a database has errors of its own
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ZooError(f"--storage: {storage or folder / JOURNAL} cannot be reached ({first})") from None


def mend(journal: Path) -> None:
    """Take off what a killed process may have left, its lock and half a line at the end. Only where no worker lives."""
    if journal.is_file():
        Path(f"{journal}.lock").unlink(missing_ok=True)
        with journal.open("r+b") as file:
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)


def pareto(
    trials: Sequence[optuna.trial.FrozenTrial], objectives: Sequence[Objective]
) -> list[optuna.trial.FrozenTrial]:
    """Those that no other beats in one objective and equals in the rest, by the first objective, the best first."""
    signs = np.array([-1.0 if objective.maximised else 1.0 for objective in objectives])
    values = [signs * np.array(trial.values) for trial in trials]
    front = [
        trial
        for trial, own in zip(trials, values, strict=True)
        if not any((other <= own).all() and (other < own).any() for other in values)
    ]
    return sorted(front, key=lambda trial: float(signs[0] * trial.values[0]))


def suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    """Have Optuna choose a value."""
    domain = parameter.domain
    if not isinstance(domain, Range):
        return trial.suggest_categorical(parameter.name, domain.options)
    if domain.whole:
        low, high = int(domain.low), int(domain.high)
        return trial.suggest_int(parameter.name, low, high, step=int(domain.step or 1), log=domain.log)
    return trial.suggest_float(parameter.name, domain.low, domain.last, step=domain.step, log=domain.log)


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    import optuna

    domain = parameter.domain
    if not isinstance(domain, Range):
        return optuna.distributions.CategoricalDistribution(domain.options)
    if domain.whole:
        return optuna.distributions.IntDistribution(
            int(domain.low), int(domain.high), domain.log, int(domain.step or 1)
        )
    return optuna.distributions.FloatDistribution(domain.low, domain.last, domain.log, domain.step)


def _template(space: Space, point: Point) -> optuna.trial.FrozenTrial:
    import optuna

    distributions = {p.name: distribution(p) for p in space.parameters if p.name in point}
    return optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, params=point, distributions=distributions)
