"""Where designs begin: random DNA, sequences that are given, or shuffles of those, repaired where they have to be. An N
becomes a random base before anything else.

A start follows from the seed and the number of its design, and from its own bases, never from how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.design.constraints import Constraints
from zoo.design.options import DesignOptions
from zoo.dna import shuffle
from zoo.errors import ZooError
from zoo.spec import ALPHABET, UNKNOWN_BASE

TRIES = 20
"""Random sequences that are drawn for one start, until one can be repaired."""

DESIGNS = 10
"""Where neither a number nor sequences are given."""


class Start(NamedTuple):
    """name: what it is, for who reads of it.  codes: uint8 (L,), from which edits are counted.  edits: position and
    base of what was mended in it."""

    name: str
    codes: np.ndarray
    edits: tuple[tuple[int, int], ...] = ()

    @property
    def mended(self) -> np.ndarray:
        """Where the climb begins, uint8 (L,)."""
        codes = self.codes.copy()
        for position, base in self.edits:
            codes[position] = base
        return codes


def starts(options: DesignOptions, constraints: Constraints, given: Sequence[tuple[str, np.ndarray]]) -> list[Start]:
    """One for each design. given: names and base codes, uint8 (L,), or none for random DNA.

    Raises ZooError for a given sequence that cannot be repaired, and for constraints that nothing meets.
    """
    if options.shuffled and not given:
        raise ZooError("shuffled: expected sequences to shuffle, got none; give them with --start")
    number = options.number or len(given) or DESIGNS
    return [_start(design, options, constraints, given) for design in range(number)]


def _start(
    design: int, options: DesignOptions, constraints: Constraints, given: Sequence[tuple[str, np.ndarray]]
) -> Start:
    generator = np.random.default_rng([options.seed, design])
    if not given:
        return _random(design, constraints, generator)
    name, codes = given[design % len(given)]
    if options.shuffled:
        round_ = design // len(given)
        codes = shuffle.references(codes[None], round_ + 1, options.seed)[0, round_]
        name = f"{name}, shuffle {round_ + 1}"
    filled = generator.integers(0, len(ALPHABET), len(codes), np.uint8)
    codes = np.where(codes == UNKNOWN_BASE, filled, codes)
    edits = constraints.repaired(codes, generator)
    if edits is None:
        raise ZooError(f"start {name}: {constraints.complaint(codes)}")
    return Start(name, codes, tuple(edits))


def _random(design: int, constraints: Constraints, generator: np.random.Generator) -> Start:
    """Each base drawn by itself, G and C as often as the middle of their range; repaired, and that is the start."""
    middle = sum(constraints.gc) / 2 / constraints.length
    shares = np.where(np.isin(list(ALPHABET), ["G", "C"]), middle, 1 - middle) / 2
    for _ in range(TRIES):
        codes = generator.choice(len(ALPHABET), constraints.length, p=shares).astype(np.uint8)
        edits = constraints.repaired(codes, generator, anew=True)
        if edits is not None:
            mended = Start("", codes, tuple(edits)).mended
            return Start(f"random {design + 1}", mended)
    raise ZooError(f"no random sequence of {TRIES} {constraints.complaint(codes)}; ask for less, or give sequences")
