"""The climb: directed evolution by in silico mutagenesis. In each round every substitution of every sequence is
predicted, and each design takes the best that its constraints allow.

Substitutions are chosen by differences; what a sequence counts for is the prediction of the whole sequence. No design
depends on another in the same climb, and no random number is drawn. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zoo.design.constraints import Constraints
from zoo.design.options import DesignOptions
from zoo.spec import ALPHABET

AT_ONCE = 256
"""Sequences whose substitutions are predicted at once: memory does not grow with the number of designs."""


class Step(NamedTuple):
    """One substitution. round: 0 for the repair of a start.  position: from 0.  before, after: base codes.
    activities: of the whole sequence after it, float32 (T,)."""

    round: int
    position: int
    before: int
    after: int
    activities: np.ndarray


class State(NamedTuple):
    """A sequence on its way: base codes, uint8 (L,); activities, float32 (T,); the steps that led to it."""

    codes: np.ndarray
    activities: np.ndarray
    steps: tuple[Step, ...] = ()


@dataclasses.dataclass(frozen=True)
class Network:
    """What computes. predict: base codes, uint8 (N, L) -> float32 (N, T).  effects: of substitutions, uint8 (N, L) ->
    float32 (N, L, 4, T)."""

    predict: Callable[[np.ndarray], np.ndarray]
    effects: Callable[[np.ndarray], np.ndarray]


class Climb:
    """How designs climb one target. taken: designs, uint8 (K, L), from which new ones have to differ."""

    def __init__(
        self, network: Network, target: int, options: DesignOptions, constraints: Constraints, taken: np.ndarray
    ) -> None:
        self._network = network
        self._target = target
        self._sign = np.float32(-1 if options.lower else 1)
        self._options = options
        self._constraints = constraints
        self._taken = taken

    def run(self, starts: np.ndarray, states: Sequence[State], on_round: Callable[[int], None]) -> list[State]:
        """The best state of each design on its way: fewest breaches first, then the target.

        starts: uint8 (N, L), from which edits are counted.  states: where each begins.
        on_round: called with the number of each round that is done.
        """
        best, beams = list(states), [[state] for state in states]
        seen = [{state.codes.tobytes()} for state in states]
        climbing = list(range(len(states)))
        for number in range(1, self._options.rounds + 1):
            climbing = [one for one in climbing if not self.reached(best[one])]
            chosen = {one: found for one, found in self._candidates(climbing, beams, starts, seen) if found}
            for one, beam in self._next(chosen, beams, number):
                beams[one] = beam
                leader = min(beam, key=self.rank)
                if self.rank(leader) < self.rank(best[one]):
                    best[one] = leader
                elif self._options.beam == 1:
                    del chosen[one]
            climbing = list(chosen)
            on_round(number)
        return best

    def reached(self, state: State) -> bool:
        """Whether there is nothing left to climb."""
        reach = self._options.reach
        if reach is None or self.rank(state)[0]:
            return False
        return bool(self._sign * state.activities[self._target] >= self._sign * np.float32(reach))

    def rank(self, state: State) -> tuple[float, float]:
        """Lower is better."""
        breach = self._constraints.breach(state.activities) + self.alike(state.codes)
        return float(breach), float(-self._sign * state.activities[self._target])

    def alike(self, codes: np.ndarray) -> int:
        """Bases that a sequence, uint8 (L,), lacks to differ from all that is taken."""
        differing = (self._taken != codes).sum(1)
        return int(np.maximum(self._options.diverse - differing, 0).sum())

    def _candidates(
        self, climbing: Sequence[int], beams: Sequence[Sequence[State]], starts: np.ndarray, seen: Sequence[set[bytes]]
    ) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
        """Of each design, the best substitutions: which state of its beam, position, base."""
        several = max(1, AT_ONCE // self._options.beam)
        for first in range(0, len(climbing), several):
            part = climbing[first : first + several]
            states = [state for one in part for state in beams[one]]
            codes = np.stack([state.codes for state in states])
            activities = np.stack([state.activities for state in states])[:, None, None] + self._network.effects(codes)
            begun = np.repeat(starts[part], [len(beams[one]) for one in part], 0)
            allowed = self._constraints.allowed(codes, begun)
            breach = self._constraints.breach(activities) + self._alike_after(codes)
            value = -self._sign * activities[..., self._target]
            end = 0
            for one in part:
                rows = slice(end, end + len(beams[one]))
                end = rows.stop
                yield one, self._best(codes[rows], allowed[rows], breach[rows], value[rows], seen[one])

    def _best(
        self, codes: np.ndarray, allowed: np.ndarray, breach: np.ndarray, value: np.ndarray, seen: set[bytes]
    ) -> list[tuple[int, int, int]]:
        """As many as the beam holds, of sequences that the design has not had; equal ones in the order of places."""
        places = np.flatnonzero(allowed)
        order = places[np.lexsort((value.ravel()[places], breach.ravel()[places]))]
        found: list[tuple[int, int, int]] = []
        for place in order:
            row, position, base = (int(index) for index in np.unravel_index(place, allowed.shape))
            mutant = _substituted(codes[row], position, base)
            if mutant.tobytes() not in seen:
                seen.add(mutant.tobytes())
                found.append((row, position, base))
            if len(found) == self._options.beam:
                break
        return found

    def _next(
        self, chosen: dict[int, list[tuple[int, int, int]]], beams: Sequence[Sequence[State]], number: int
    ) -> Iterator[tuple[int, list[State]]]:
        """The chosen substitutions made and predicted, design by design."""
        if not chosen:
            return
        mutants = [
            _substituted(beams[one][row].codes, position, base)
            for one, found in chosen.items()
            for row, position, base in found
        ]
        predicted = iter(self._network.predict(np.stack(mutants)))
        made = iter(mutants)
        for one, found in list(chosen.items()):
            beam = []
            for row, position, base in found:
                parent, activities = beams[one][row], next(predicted)
                step = Step(number, position, int(parent.codes[position]), base, activities)
                beam.append(State(next(made), activities, (*parent.steps, step)))
            yield one, beam

    def _alike_after(self, codes: np.ndarray) -> np.ndarray:
        """What `alike` would be after each substitution, uint8 (N, L) -> intp (N, L, 4)."""
        lacking = np.zeros((*codes.shape, len(ALPHABET)), np.intp)
        if not self._options.diverse:
            return lacking
        bases = np.arange(len(ALPHABET), dtype=np.uint8)
        for other in self._taken:
            same = codes == other
            differing = (~same).sum(1)
            near = differing <= self._options.diverse  # one substitution takes no more than one away
            if near.any():
                after = differing[near, None, None] + same[near, :, None] - (other[:, None] == bases)
                lacking[near] += np.maximum(self._options.diverse - after, 0)
        return lacking


def _substituted(codes: np.ndarray, position: int, base: int) -> np.ndarray:
    mutant = codes.copy()
    mutant[position] = base
    return mutant
