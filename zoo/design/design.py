"""Directed evolution by in silico mutagenesis: from start sequences to designs.

In each round every substitution of every sequence is predicted, and each design takes the best one that its constraints
allow. Substitutions are ranked by predicted differences; the results are predictions of whole sequences.

Designs with different start sequences evolve together. Designs with the same start evolve one after the other, since
each has to differ from those before. A start depends only on its own bases, the seed and the number of its design, and
nothing else is random. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.design.constraints import Constraints
from zoo.design.objective import Objective
from zoo.design.options import DesignOptions
from zoo.dna import shuffle
from zoo.errors import ZooError
from zoo.options import check_kind, made
from zoo.prediction.model import Model
from zoo.spec import ALPHABET, UNKNOWN_BASE

DEFAULT_DESIGNS = 10
"""Number of designs where neither a number nor start sequences are given."""

RANDOM_TRIES = 20
"""Random sequences to draw for one start until one of them can be repaired."""

AT_ONCE = 256
"""Sequences whose substitutions are predicted at once, which bounds the memory."""


class Step(NamedTuple):
    """One substitution. round: 0 for the repair of a start.  position: from 0.  before, after: base codes.
    activities: predictions of the whole sequence after it, float32 (T,); during evolution, the numbers of all members,
    see Objective."""

    round: int
    position: int
    before: int
    after: int
    activities: np.ndarray


class Design(NamedTuple):
    """A designed sequence.

    start, start_codes: name and base codes, uint8 (L,), of its start.
    activities_at_start: predictions of the start before any repair, float32 (T,).
    codes, activities: base codes, uint8 (L,), and predictions, float32 (T,), of the design.
    steps: all substitutions in order; a position may change more than once.
    reached: whether the value of the target reached `reach`; True without that option.
    spread: standard deviations over the members of an ensemble, float32 (T,); None for a single network.
    """

    start: str
    start_codes: np.ndarray
    activities_at_start: np.ndarray
    codes: np.ndarray
    activities: np.ndarray
    steps: tuple[Step, ...]
    reached: bool
    spread: np.ndarray | None = None

    @property
    def edits(self) -> int:
        """Number of positions that differ from the start."""
        return int((self.codes != self.start_codes).sum())


def evolve(
    model: Model, target: str | int, sequences: Sequence[str] | np.ndarray | None = None, **options: Any
) -> list[Design]:
    """Design sequences for one target by directed evolution.

    target: name, or number from 0.  sequences: start sequences, N texts, or base codes, uint8 (N, L); default random
        DNA. An empty list gives no designs.  options: fields of zoo.design.options.DesignOptions.
    Predictions of a model that was loaded with rc="average" are means over both strands.
    Raises ZooError for an unknown target or option, for starts that cannot be repaired, and if a design misses a bound
    of `keep`.
    """
    check_kind("model", model, Model)
    design_options = made(DesignOptions, options)
    target_index = model.spec.target_index(target)
    if sequences is None:
        return designs(model, target_index, design_options, [])
    given = [(f"sequence {number}", codes) for number, codes in enumerate(model.codes(sequences), 1)]
    return designs(model, target_index, design_options, given) if given else []


def designs(
    model: Model,
    target: str | int,
    options: DesignOptions,
    given: Sequence[tuple[str, np.ndarray]],
    on_progress: Callable[[float, int], None] = lambda *_: None,
) -> list[Design]:
    """`evolve` for named start sequences: pairs of a name and base codes, uint8 (L,); none for random DNA.

    on_progress: called with the fraction of the work done, and the number of finished designs.
    """
    constraints = Constraints(options, model.spec)
    starts = start_sequences(options, constraints, given)
    objective = Objective(model, target, options)
    at_start = objective.predict(np.stack([start.codes for start in starts]))
    first = _repaired_states(objective, starts, at_start)
    done: dict[int, Design] = {}
    while pending := [one for one in range(len(starts)) if one not in done]:
        wave = _with_different_starts(pending, first) if options.diverse else pending

        def on_round(number: int, done_before: int = len(done), evolving: int = len(wave)) -> None:
            designs_done = done_before + evolving * number / options.rounds
            on_progress(designs_done / len(starts), int(designs_done))

        evolution = Evolution(objective, options, constraints, _stacked(list(done.values()), constraints.length))
        ends = evolution.run(np.stack([starts[one].codes for one in wave]), [first[one] for one in wave], on_round)
        accepted: dict[int, Design] = {}
        for one, state in zip(wave, ends, strict=True):
            start = starts[one]
            evolution.check(state, f"design {one + 1}, from {start.name}")
            # a design that is too similar to another of this wave evolves again, now with that one among `others`
            others = _stacked(list(accepted.values()), constraints.length)
            if not _missing_differences(state.codes, others, options.diverse):
                reached = options.reach is None or evolution.reached(state)
                accepted[one] = _design(objective, start, at_start[one], state, reached)
        done |= accepted
    return [done[one] for one in range(len(starts))]


def _design(objective: Objective, start: Start, at_start: np.ndarray, state: State, reached: bool) -> Design:
    """A finished design. at_start: numbers of all members for its start."""
    means = objective.means
    steps = tuple(step._replace(activities=means(step.activities)) for step in state.steps)
    shown = means(at_start), state.codes, means(state.activities), steps, reached, objective.spreads(state.activities)
    return Design(start.name, start.codes, *shown)


class Start(NamedTuple):
    """A start sequence. codes: uint8 (L,), before any repair.  edits: positions and bases of its repair."""

    name: str
    codes: np.ndarray
    edits: Sequence[tuple[int, int]] = ()


def start_sequences(
    options: DesignOptions, constraints: Constraints, given: Sequence[tuple[str, np.ndarray]]
) -> list[Start]:
    """Make the start of each design: random DNA, a given sequence, or a shuffle of one, repaired where necessary.

    Raises ZooError for a sequence that cannot be repaired, and for constraints that no random sequence meets.
    """
    if options.shuffled and not given:
        raise ZooError("shuffled: expected sequences to shuffle, got none; give them with --start")
    number = options.number or len(given) or DEFAULT_DESIGNS
    starts = []
    for design in range(number):
        generator = np.random.default_rng([options.seed, design])
        if given:
            starts.append(_given_start(design, options, constraints, given, generator))
        else:
            starts.append(_random_start(design, constraints, generator))
    return starts


def _given_start(
    design: int,
    options: DesignOptions,
    constraints: Constraints,
    given: Sequence[tuple[str, np.ndarray]],
    generator: np.random.Generator,
) -> Start:
    """Use the sequences in turn. An N becomes a random base. Raises ZooError for an N at a protected position."""
    name, codes = given[design % len(given)]
    if options.shuffled:
        turn = design // len(given)
        codes = shuffle.references(codes[None], turn + 1, options.seed)[0, turn]
        name = f"{name}, shuffle {turn + 1}"
    protected = np.flatnonzero((codes == UNKNOWN_BASE) & ~constraints.free) + 1
    if len(protected):
        others = f" and {len(protected) - 1:,} more" if len(protected) > 1 else ""
        raise ZooError(
            f"start {name}: position {protected[0]}{others}: a protected base is N, which would become random; give "
            "the base, or protect other positions"
        )
    random_bases = generator.integers(0, len(ALPHABET), len(codes), np.uint8)
    codes = np.where(codes == UNKNOWN_BASE, random_bases, codes)
    edits = constraints.repair(codes, generator)
    if edits is None:
        raise ZooError(f"start {name}: {constraints.complaint(codes)}")
    return Start(name, codes, edits)


def _random_start(design: int, constraints: Constraints, generator: np.random.Generator) -> Start:
    """Draw independent bases, with the middle of the allowed GC range. Its repair does not count as edits."""
    middle = sum(constraints.gc) / 2 / constraints.length
    shares = np.where(np.isin(list(ALPHABET), ["G", "C"]), middle, 1 - middle) / 2
    for _ in range(RANDOM_TRIES):
        codes = generator.choice(len(ALPHABET), constraints.length, p=shares).astype(np.uint8)
        edits = constraints.repair(codes, generator, everywhere=True)
        if edits is not None:
            for position, base in edits:
                codes[position] = base
            return Start(f"random {design + 1}", codes)
    raise ZooError(
        f"no random sequence of {RANDOM_TRIES} {constraints.complaint(codes)}; relax the constraints, or use --start"
    )


class State(NamedTuple):
    """A sequence during evolution: base codes, uint8 (L,); numbers of all members, float32 (M * T,); the steps that led
    to it."""

    codes: np.ndarray
    activities: np.ndarray
    steps: tuple[Step, ...] = ()

    def after(self, round_: int, position: int, base: int, activities: np.ndarray) -> State:
        """The state after one more substitution, whose predictions are `activities`."""
        step = Step(round_, position, int(self.codes[position]), base, activities)
        return State(_substituted(self.codes, position, base), activities, (*self.steps, step))


def _substituted(codes: np.ndarray, position: int, base: int) -> np.ndarray:
    mutant = codes.copy()
    mutant[position] = base
    return mutant


def _stacked(found: Sequence[Design], length: int) -> np.ndarray:
    """The base codes of designs, uint8 (N, L)."""
    return np.stack([design.codes for design in found]) if found else np.empty((0, length), np.uint8)


def _repaired_states(objective: Objective, starts: Sequence[Start], activities: np.ndarray) -> list[State]:
    """The starts after their repair, each substitution a step of round 0. activities: numbers of all members before it,
    float32 (N, M * T)."""
    states = [State(start.codes, one) for start, one in zip(starts, activities, strict=True)]
    edits, mutants = [], []
    for number, start in enumerate(starts):
        codes = start.codes
        for position, base in start.edits:
            codes = _substituted(codes, position, base)
            mutants.append(codes)
            edits.append((number, position, base))
    if edits:
        for (number, position, base), one in zip(edits, objective.predict(np.stack(mutants)), strict=True):
            states[number] = states[number].after(0, position, base, one)
    return states


def _with_different_starts(pending: Sequence[int], first: Sequence[State]) -> list[int]:
    """The first design of each start sequence."""
    return list({first[one].codes.tobytes(): one for one in reversed(pending)}.values())[::-1]


def _missing_differences(codes: np.ndarray, others: np.ndarray, diverse: int) -> int:
    """Sum over all other designs, uint8 (K, L), of the bases that a sequence lacks to differ from it in `diverse`."""
    return int(np.maximum(diverse - (others != codes).sum(1), 0).sum())


class Evolution:
    """Evolution of several designs towards one target. others: finished designs, uint8 (K, L), to differ from."""

    def __init__(
        self, objective: Objective, options: DesignOptions, constraints: Constraints, others: np.ndarray
    ) -> None:
        self._objective = objective
        self._options = options
        self._constraints = constraints
        self._others = others

    def run(self, starts: np.ndarray, states: Sequence[State], on_round: Callable[[int], None]) -> list[State]:
        """Return the best state of each design: with the smallest breach of constraints, then with the best target.

        starts: uint8 (N, L), from which edits are counted.  states: the first state of each design.
        on_round: called with the number of each finished round.
        """
        best, beams = list(states), {one: [state] for one, state in enumerate(states)}
        visited = [{state.codes.tobytes()} for state in states]
        for number in range(1, self._options.rounds + 1):
            beams = {one: beam for one, beam in beams.items() if not self.reached(best[one])}
            beams = self._next_beams(beams, starts, visited, number)
            for one, beam in list(beams.items()):
                leader = min(beam, key=self._rank)
                if self._rank(leader) < self._rank(best[one]):
                    best[one] = leader
                elif self._options.beam == 1:
                    del beams[one]
            on_round(number)
        return best

    def reached(self, state: State) -> bool:
        """Whether a state meets all constraints and its value reaches `reach`."""
        reach = self._objective.reach
        if reach is None or self._rank(state)[0]:
            return False
        return bool(self._objective.values(state.activities) >= reach)

    def check(self, state: State, title: str) -> None:
        """Raise ZooError, which begins with the title, unless the best state of a design meets all constraints."""
        means = self._objective.means(state.activities)
        if self._constraints.breach(means):
            missed = ", ".join(f"{keep} reached {means[target]:.4g}" for target, keep in self._constraints.bounds)
            raise ZooError(f"{title}: {missed} in {self._options.rounds} rounds; raise --rounds or widen the bound")
        if _missing_differences(state.codes, self._others, self._options.diverse):
            nearest = int((self._others != state.codes).sum(1).min())
            raise ZooError(
                f"{title}: expected {self._options.diverse} bases that differ from every other design, got {nearest}; "
                "ask for fewer designs, give more starts or allow more edits"
            )

    def _rank(self, state: State) -> tuple[float, float]:
        """Sort key; lower is better."""
        missing = _missing_differences(state.codes, self._others, self._options.diverse)
        breach = self._constraints.breach(self._objective.means(state.activities)) + missing
        return float(breach), float(-self._objective.values(state.activities))

    def _next_beams(
        self, beams: dict[int, list[State]], starts: np.ndarray, visited: Sequence[set[bytes]], number: int
    ) -> dict[int, list[State]]:
        """Make and predict the best substitutions of each design; designs without one are left out."""
        candidates = list(self._candidates(beams, starts, visited))
        if not candidates:
            return {}
        mutants = [_substituted(parent.codes, position, base) for _, parent, position, base in candidates]
        predicted = self._objective.predict(np.stack(mutants))
        following: dict[int, list[State]] = {}
        for (one, parent, position, base), activities in zip(candidates, predicted, strict=True):
            following.setdefault(one, []).append(parent.after(number, position, base, activities))
        return following

    def _candidates(
        self, beams: dict[int, list[State]], starts: np.ndarray, visited: Sequence[set[bytes]]
    ) -> Iterator[tuple[int, State, int, int]]:
        """The best substitutions of each design: its number, the state to change, position and base."""
        numbers = list(beams)
        designs_at_once = max(1, AT_ONCE // self._options.beam)
        for first in range(0, len(numbers), designs_at_once):
            part = numbers[first : first + designs_at_once]
            codes = np.stack([state.codes for one in part for state in beams[one]])
            activities = np.stack([state.activities for one in part for state in beams[one]])[:, None, None]
            activities = activities + self._objective.mutants(codes)
            allowed = self._constraints.allowed(codes, np.repeat(starts[part], [len(beams[one]) for one in part], 0))
            breach = self._constraints.breach(self._objective.means(activities)) + self._missing_after(codes)
            value = -self._objective.values(activities)
            end = 0
            for one in part:
                rows = slice(end, end + len(beams[one]))
                end = rows.stop
                for row, position, base in self._best(
                    codes[rows], allowed[rows], breach[rows], value[rows], visited[one]
                ):
                    yield one, beams[one][row], position, base

    def _best(
        self, codes: np.ndarray, allowed: np.ndarray, breach: np.ndarray, value: np.ndarray, visited: set[bytes]
    ) -> list[tuple[int, int, int]]:
        """Best substitutions in the states of a beam: row, position and base, at most `beam` of them.

        They lead to sequences that the design has not visited. Of equal values, the lower position comes first.
        """
        places = np.flatnonzero(allowed)
        order = places[np.lexsort((value.ravel()[places], breach.ravel()[places]))]
        best: list[tuple[int, int, int]] = []
        for place in order:
            row, position, base = (int(index) for index in np.unravel_index(place, allowed.shape))
            mutant = _substituted(codes[row], position, base).tobytes()
            if mutant not in visited:
                visited.add(mutant)
                best.append((row, position, base))
            if len(best) == self._options.beam:
                break
        return best

    def _missing_after(self, codes: np.ndarray) -> np.ndarray:
        """`_missing_differences` after each substitution, uint8 (N, L) -> intp (N, L, 4)."""
        missing = np.zeros((*codes.shape, len(ALPHABET)), np.intp)
        if not self._options.diverse:
            return missing
        bases = np.arange(len(ALPHABET), dtype=np.uint8)
        for other in self._others:
            same = codes == other
            differing = (~same).sum(1)
            near = differing <= self._options.diverse  # one substitution removes at most one difference
            if near.any():
                after = differing[near, None, None] + same[near, :, None] - (other[:, None] == bases)
                missing[near] += np.maximum(self._options.diverse - after, 0)
        return missing
