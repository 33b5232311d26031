"""The study: the trials so far, in one of Optuna's storages, and the point of the next trial.

Optuna's samplers propose points, in a copy of the study in memory and not in its storage. Three rules need this:
- Trial n follows from the seed, n and the trials before it, so that a killed study ends with the same trials.
- A trial is stored together with its point in one write, so that a killed process leaves no trial without a point.
- No point is trained twice. If two machines made a trial at the same moment, only one trial has the number that it was
  proposed for; the other one is discarded, and its machine proposes again.
Needs the extra `search`.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError, require
from zoo.search.objective import Objective
from zoo.search.search_options import SearchOptions
from zoo.search.space import Parameter, Point, Range, Space, key
from zoo.system import locks
from zoo.training.config import difference

if TYPE_CHECKING:
    import optuna

JOURNAL, LOCK = "journal.log", "draw.lock"

FACTS, WORKER, DISCARDED, REASON = "zoo", "worker", "set aside", "reason"
"""Attributes in the storage: of the study, what it searches; of a trial, who trains it, whether it is discarded, and
why it failed."""

PROPOSALS = 20
"""Proposals of a sampler before another sampler looks for a point that is not in the study."""

RANDOM_PROPOSALS = 1000
"""Random proposals in a space that is continuous or larger than ENUMERABLE."""

ENUMERABLE = 100_000
"""Largest space that Optuna's BruteForceSampler goes through point by point."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A trial to train. id: its id in the storage.  resumed: another worker began it."""

    id: int
    number: int
    point: Point
    resumed: bool = False


def require_optuna() -> None:
    """Raise MissingDependency without Optuna; keep it from writing to the terminal."""
    require("optuna", "search", "zoo search")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Study:
    """One study, as one worker sees it. possible: whether a point is possible as a network.

    Raises ZooError for a grid over a space that is continuous or larger than ENUMERABLE.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        objectives: tuple[Objective, ...],
        options: SearchOptions,
        possible: Callable[[Point], bool] = lambda _: True,
    ) -> None:
        require_optuna()
        import optuna

        self.folder, self.space, self.objectives, self.options = folder, space, objectives, options
        self._possible = possible
        self._size = space.size()
        if options.sampler == "grid":
            self._check_grid()
        self._storage = open_storage(options.storage, folder)
        self.optuna_study = optuna.load_study(
            study_name=options.name, storage=self._storage, sampler=optuna.samplers.RandomSampler()
        )
        self._id = self._storage.get_study_id_from_name(options.name)

    def _check_grid(self) -> None:
        for parameter in self.space.parameters:
            if parameter.domain.options is None:
                raise ZooError(f"grid: {parameter.name} is a range without a step; add one, or give another --sampler")
        if self._size is not None and self._size > ENUMERABLE:
            raise ZooError(f"grid: expected at most {ENUMERABLE:,} points, got {self._size:,}; give another --sampler")

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials but the discarded ones, in order."""
        return [trial for trial in self._all() if DISCARDED not in trial.user_attrs]

    def _all(self) -> list[optuna.trial.FrozenTrial]:
        """Raises ZooError for a trial that another program added, since its settings are unknown."""
        found = self.optuna_study.get_trials(deepcopy=False)
        for trial in found:
            if WORKER not in trial.user_attrs:
                raise ZooError(
                    f"{self.folder}: trial {trial.number} of the study {self.options.name!r} was added by another "
                    "program than zoo search; start a new study with --output and --name"
                )
        return found

    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that were trained to the end, the best first; with several objectives, those of the front first."""
        done = [trial for trial in self.trials() if trial.state.name == "COMPLETE"]
        losses = np.array([self.losses(trial.values) for trial in done]).reshape(len(done), len(self.objectives))
        front = on_front(losses) if len(self.objectives) > 1 else np.zeros(len(done), bool)
        order = sorted(range(len(done)), key=lambda one: (not front[one], losses[one, 0], done[one].number))
        return [done[one] for one in order]

    def losses(self, values: Sequence[float]) -> list[float]:
        """Values of the objectives, negative for those that are maximised."""
        return [-one if name.maximised else one for one, name in zip(values, self.objectives, strict=True)]

    def draw(self, worker: str, alive: Callable[[str], bool]) -> Drawn | None:
        """The next trial for `worker`, or one that a dead worker left; None if no trial is left to begin.

        alive: whether the worker of a name is alive.
        """
        with locks.held(self.folder / LOCK):
            while True:
                trials = self._all()
                for trial in trials:
                    if not trial.state.is_finished() and not alive(trial.user_attrs[WORKER]):
                        made = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
                        self._storage.set_trial_user_attr(made, WORKER, worker)
                        return Drawn(made, trial.number, dict(trial.params), resumed=True)
                if sum(DISCARDED not in trial.user_attrs for trial in trials) >= (self.options.trials or 0):
                    return None
                proposed = self._propose(trials)
                if proposed is None:
                    return None
                drawn = self._make(proposed, worker)
                if drawn.number == len(trials):
                    return drawn
                self._storage.set_trial_user_attr(drawn.id, DISCARDED, True)
                self.tell(drawn, None, "another machine began a trial at the same moment")

    def _make(self, proposed: optuna.trial.FrozenTrial, worker: str) -> Drawn:
        proposed.user_attrs = {WORKER: worker}
        made = self._storage.create_new_trial(self._id, proposed)
        return Drawn(made, self._storage.get_trial(made).number, dict(proposed.params))

    def _propose(self, trials: list[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
        """A running trial at a possible point that is not in the study; None if no such point is left."""
        import optuna

        known = {key(trial.params) for trial in trials if DISCARDED not in trial.user_attrs}
        if self._size is not None and len(known) >= self._size:
            return None
        seed = int(np.random.SeedSequence((self.options.seed, len(trials))).generate_state(1)[0])
        for sampler, proposals in self._samplers(seed):
            copied = self._in_memory(trials, sampler)
            proposed = set(known)
            for _ in range(proposals):
                asked = copied.ask()
                point = self.space.choose(partial(suggest, asked))
                if key(point) not in proposed and self._possible(point):
                    found = copied.get_trials(deepcopy=False)[-1]
                    return optuna.trial.create_trial(
                        state=found.state, params=point, distributions=found.distributions,
                        system_attrs=found.system_attrs,
                    )  # fmt: skip
                if isinstance(sampler, optuna.samplers.BruteForceSampler) and key(point) in proposed:
                    return None
                proposed.add(key(point))
        return None

    def _in_memory(self, trials: list[optuna.trial.FrozenTrial], sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        """A copy of the study. A discarded trial keeps its number but loses its point, which may be proposed again."""
        import optuna

        copied = optuna.create_study(
            study_name=self.options.name,
            directions=[objective.direction for objective in self.objectives],
            sampler=sampler,
            pruner=self._pruner(),  # the sampler of a hyperband study looks at the trials of one bracket
        )
        blank = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        copied.add_trials([blank if DISCARDED in trial.user_attrs else self._in_order(trial) for trial in trials])
        return copied

    def _in_order(self, trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
        """A trial with its parameters in the order of `choose`, which BruteForceSampler needs; databases have none."""
        names = self.space.choose(lambda parameter: trial.params.get(parameter.name))
        trial.distributions = {name: trial.distributions[name] for name in names}
        return trial

    def _samplers(self, seed: int) -> Iterator[tuple[optuna.samplers.BaseSampler, int]]:
        """Samplers to ask one after the other, each with the number of its proposals."""
        import optuna

        if self.options.sampler == "tpe":
            yield optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True), PROPOSALS
        if self.options.sampler == "random":
            yield optuna.samplers.RandomSampler(seed), PROPOSALS
        if self._size is not None and self._size <= ENUMERABLE:
            yield optuna.samplers.BruteForceSampler(seed), self._size + 1
        else:
            yield optuna.samplers.RandomSampler(seed + 1), RANDOM_PROPOSALS

    def report(self, drawn: Drawn, epoch: int, value: float) -> bool:
        """Store the value of an epoch. Returns whether the pruner would stop the trial after it."""
        if epoch not in self._storage.get_trial(drawn.id).intermediate_values:
            self._storage.set_trial_intermediate_value(drawn.id, epoch, value)
        return self._pruner().prune(self.optuna_study, self._storage.get_trial(drawn.id))

    def note(self, drawn: Drawn, facts: dict[str, Any]) -> None:
        """Store facts about a trial beside its values."""
        for name, value in facts.items():
            self._storage.set_trial_user_attr(drawn.id, name, value)

    def tell(self, drawn: Drawn, values: Sequence[float] | None, reason: str = "", pruned: bool = False) -> None:
        """End a trial. values: those of the objectives, None for a failed trial.  reason: why it failed."""
        import optuna

        states = optuna.trial.TrialState
        if reason:
            self._storage.set_trial_user_attr(drawn.id, REASON, reason)
        state = states.PRUNED if pruned else states.FAIL if values is None else states.COMPLETE
        self._storage.set_trial_state_values(drawn.id, state, values)

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
    """Create the study in its storage, or find it there to resume. facts: what it searches and on which data.

    Raises ZooError if it exists and is not to be resumed or has other facts, or if the storage is out of reach.
    """
    require_optuna()
    import optuna

    storage = open_storage(options.storage, folder)
    if options.name not in [study.study_name for study in storage.get_all_studies()]:
        directions = [objective.direction for objective in objectives]
        optuna.create_study(study_name=options.name, storage=storage, directions=directions).set_user_attr(FACTS, facts)
        return
    before = optuna.load_study(study_name=options.name, storage=storage).user_attrs.get(FACTS, {})
    if (differs := difference(before, facts)) is not None:
        raise ZooError(
            f"{folder}: the study {options.name!r} is a different one: {differs}; give another --output or --name"
        )
    if not options.resume:
        raise ZooError(f"{folder}: the study {options.name!r} exists already; continue it with --resume")


def open_storage(storage: str | None, folder: Path) -> optuna.storages.BaseStorage:
    """A database URL, or a journal file, by default in the folder. Raises ZooError if it is out of reach."""
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


def repair(journal: Path) -> None:
    """Remove a killed process's lock on a journal and half a line at its end. Only while no worker is alive."""
    if journal.is_file():
        Path(f"{journal}.lock").unlink(missing_ok=True)
        with journal.open("r+b") as file:
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)


def on_front(losses: np.ndarray) -> np.ndarray:
    """Losses, float (N, M) -> bool (N,): no other row is as low in every column and lower in one."""
    beaten = [((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any() for own in losses]
    return ~np.array(beaten, bool)


def suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    """Let Optuna choose a value."""
    domain = parameter.domain
    if not isinstance(domain, Range):
        return trial.suggest_categorical(parameter.name, domain.options)
    if domain.whole:
        low, high = int(domain.low), int(domain.high)
        return trial.suggest_int(parameter.name, low, high, step=int(domain.step or 1), log=domain.log)
    if domain.step is None:
        return trial.suggest_float(parameter.name, domain.low, domain.high, log=domain.log)
    values = domain.options or ()
    drawn = trial.suggest_float(parameter.name, domain.low, values[-1], step=domain.step)
    return min(values, key=lambda value: abs(value - drawn))  # Optuna's steps add up rounding: 0.1 + 2 * 0.1 > 0.3
