"""Sequences made to order: from starts to designs that keep to their constraints and differ from each other.

Designs that begin with different sequences climb together. Of those that begin with the same one, the next climbs when
the one before is done, and has to differ from it. Axes: N designs, L positions, T targets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.design.climb import Climb, Network, State, Step
from zoo.design.constraints import Constraints
from zoo.design.options import DesignOptions
from zoo.design.starts import Start, starts
from zoo.errors import ZooError
from zoo.explain.deeplift import target_index
from zoo.options import check_kind, made
from zoo.prediction.model import Model


class Design(NamedTuple):
    """start: what it began with, by name, and its base codes, uint8 (L,).  activities_at_start: float32 (T,), before
    any repair.  codes: uint8 (L,).  activities: predictions of the whole sequence, float32 (T,).
    steps: the substitutions that led from one to the other, in order; a position may change more than once.
    reached: whether the target's prediction came to what was asked; True where nothing was."""

    start: str
    start_codes: np.ndarray
    activities_at_start: np.ndarray
    codes: np.ndarray
    activities: np.ndarray
    steps: tuple[Step, ...]
    reached: bool

    @property
    def edits(self) -> int:
        """Positions in which it differs from its start."""
        return int((self.codes != self.start_codes).sum())


def evolve(
    model: Model, target: str | int, sequences: Sequence[str] | np.ndarray | None = None, **options: Any
) -> list[Design]:
    """Directed evolution of one target by in silico mutagenesis.

    target: its name, or its number from 0.  sequences: where the designs begin, N texts, or base codes, uint8 (N, L);
        random DNA by default, and no design of none.  options: fields of zoo.design.options.DesignOptions.
    Of a model that was loaded with rc="average", predictions are the mean of both strands.
    Raises ZooError for an unknown target or option, for starts that cannot be repaired, and where a bound of `keep`
    cannot be kept to.
    """
    check_kind("model", model, Model)
    chosen, aim = made(DesignOptions, options), target_index(model.spec.targets, target)
    given = [] if sequences is None else list(model.codes(sequences))
    if sequences is not None and not given:
        return []
    named = [(f"sequence {number}", codes) for number, codes in enumerate(given, 1)]
    return designs(model, aim, chosen, named)


def designs(
    model: Model,
    target: str | int,
    options: DesignOptions,
    given: Sequence[tuple[str, np.ndarray]],
    on_progress: Callable[[float, int], None] = lambda *_: None,
) -> list[Design]:
    """`evolve`, with the names of what the designs begin with.

    on_progress: called with the share of the work that is done, and with how many designs that is.
    """
    aim = target_index(model.spec.targets, target)
    constraints = Constraints(options, model.spec.sequence_length, model.spec.targets)
    network = Network(model.session.predict, model.session.mutants)
    begun = starts(options, constraints, given)
    before, first = _beginnings(network, begun)
    ends: dict[int, State] = {}
    pending = list(range(len(begun)))
    while pending:
        wave = _distinct(pending, begun) if options.diverse else pending
        taken = _codes(list(ends.values()), constraints.length)
        climb = Climb(network, aim, options, constraints, taken)
        on_round = functools.partial(_told, on_progress, len(ends), len(wave), len(begun), options.rounds)
        found = climb.run(np.stack([begun[one].codes for one in wave]), [first[one] for one in wave], on_round)
        ends |= _accepted(wave, found, taken, climb, constraints, options, begun)
        pending = [one for one in pending if one not in ends]
    return [
        Design(
            begun[one].name,
            begun[one].codes,
            before[one],
            *ends[one],
            options.reach is None or climb.reached(ends[one]),
        )
        for one in range(len(begun))
    ]


def _told(
    on_progress: Callable[[float, int], None], done: int, climbing: int, total: int, rounds: int, number: int
) -> None:
    """After round `number` of those that climb: a round counts as its share of a design."""
    designs_done = done + climbing * number / rounds
    on_progress(designs_done / total, int(designs_done))


def _beginnings(network: Network, begun: Sequence[Start]) -> tuple[np.ndarray, list[State]]:
    """Activities of the starts as they were, float32 (N, T), and the states after their repair."""
    before = network.predict(np.stack([start.codes for start in begun]))
    on_the_way, owners = [], []
    for number, start in enumerate(begun):
        for last in range(1, len(start.edits) + 1):
            on_the_way.append(start._replace(edits=start.edits[:last]).mended)
            owners.append(number)
    states = [State(start.codes, activities) for start, activities in zip(begun, before, strict=True)]
    if on_the_way:
        for number, codes, activities in zip(owners, on_the_way, network.predict(np.stack(on_the_way)), strict=True):
            state = states[number]
            position, base = begun[number].edits[len(state.steps)]
            step = Step(0, position, int(state.codes[position]), base, activities)
            states[number] = State(codes, activities, (*state.steps, step))
    return before, states


def _distinct(pending: Sequence[int], begun: Sequence[Start]) -> list[int]:
    """The first of those that begin with the same sequence."""
    return list({begun[one].mended.tobytes(): one for one in reversed(pending)}.values())[::-1]


def _codes(states: Sequence[State], length: int) -> np.ndarray:
    return np.stack([state.codes for state in states]) if states else np.empty((0, length), np.uint8)


def _accepted(
    wave: Sequence[int],
    found: Sequence[State],
    taken: np.ndarray,
    climb: Climb,
    constraints: Constraints,
    options: DesignOptions,
    begun: Sequence[Start],
) -> dict[int, State]:
    """Those that differ from each other too; the rest climbs again. Raises ZooError for one that misses a bound."""
    accepted: dict[int, State] = {}
    for one, state in zip(wave, found, strict=True):
        title = f"design {one + 1}, from {begun[one].name}"
        if constraints.breach(state.activities):
            came = ", ".join(f"{keep} came to {state.activities[target]:.4g}" for target, keep in constraints.bounds)
            raise ZooError(f"{title}: {came} in {options.rounds} rounds; allow more of them, or a wider bound")
        if climb.alike(state.codes):
            nearest = int((taken != state.codes).sum(1).min())
            raise ZooError(
                f"{title}: expected {options.diverse} bases that differ from every other design, came to {nearest}; "
                "ask for fewer designs, give more starts or allow more edits"
            )
        others = _codes(list(accepted.values()), constraints.length)
        if (len(others) == 0) or int((others != state.codes).sum(1).min()) >= options.diverse:
            accepted[one] = state
    return accepted
