"""Distillation: the trainer on sequences drawn from a genome, fresh for every epoch, labelled by a teacher's outputs.

Five kinds of sequences, so that the student sees what the teacher does to real DNA and to what is not DNA of this
genome: windows of both strands at any offset; the same dinucleotide-shuffled; mutated; spliced from two; and climbed,
that is evolved by rounds of mutation and selection towards higher or lower activity, so that the tails are covered.
Every sequence follows from (seed, number of the drawing) and the teacher.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from zoo.data.labelled import Split
from zoo.dna.augment import mutate
from zoo.dna.shuffle import dinucleotide_shuffle
from zoo.errors import ZooError
from zoo.formats.genome import Genome, Region

Label = Callable[[np.ndarray], np.ndarray]
"""The teacher: base codes, uint8 (N, L) -> activities, float32 (N, T)."""

CLIMB_ROUNDS = 8
"""Rounds of mutation and selection; the sequences of every round are used."""

CLIMB_MUTATIONS = 0.02
"""Share of bases that a round of climbing mutates: 5 of 249."""

CLIMB_CANDIDATES = 3
"""Mutants among which a round selects."""

MUTATION_RANGE = (0.01, 0.25)
"""Share of bases replaced in a mutated sequence, drawn log-uniformly for each."""

HELD_OUT_WINDOWS = 10_000


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """Which sequences a student sees; what is no share of another kind are windows of the genome."""

    epoch_size: int = 200_000
    """Sequences an epoch."""

    passes: int = 1
    """Epochs in a row that use the same sequences; more where labels cost as much as steps."""

    shuffle: float = 0.05
    """Share of dinucleotide-shuffled windows."""

    mutate: float = 0.15
    """Share of mutated windows."""

    splice: float = 0.15
    """Share of windows spliced from two."""

    climb: float = 0.3
    """Share of sequences evolved to higher or lower activity."""

    held_out: int = HELD_OUT_WINDOWS
    """Windows of the part of the genome set apart for validation, and as many of that for the test."""

    def __post_init__(self) -> None:
        if self.epoch_size < CLIMB_ROUNDS * CLIMB_CANDIDATES:
            raise ZooError(f"epoch_size: expected at least {CLIMB_ROUNDS * CLIMB_CANDIDATES}, got {self.epoch_size}")
        if self.held_out < 1:
            raise ZooError(f"held_out: expected at least 1, got {self.held_out}")
        if self.passes < 1:
            raise ZooError(f"passes: expected at least 1, got {self.passes}")
        shares = {name: getattr(self, name) for name in ("shuffle", "mutate", "splice", "climb")}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ZooError(f"{name}: expected a share from 0 to 1, got {share}")
        if sum(shares.values()) > 1:
            raise ZooError(
                f"shuffle, mutate, splice and climb: expected at most 1 together, got {sum(shares.values()):g}"
            )


class DistillSource:
    """A training source (see zoo/data/dataset.py).

    seed: of every sequence that is drawn.
    ahead: draw the next sequences while some are trained on. That helps where another device trains; on the same
    processor both would only wait for each other.
    """

    def __init__(
        self,
        genome: Genome,
        label: Label,
        teacher: str,
        targets: tuple[str, ...],
        config: DistillConfig,
        seed: int = 0,
        ahead: bool = False,
    ) -> None:
        self.genome, self.label, self.teacher, self.targets, self.config = genome, label, teacher, targets, config
        self.seed = seed
        self.sequence_length = genome.length
        self.ahead = ahead
        self.train: None = None
        self._drawn: dict[int, Future[Split]] = {}
        self._worker = ThreadPoolExecutor(1, "distill")

    def epoch(self, number: int) -> Split:
        drawing = (number - 1) // self.config.passes + 1
        wanted = (drawing, drawing + 1) if self.ahead else (drawing,)
        self._drawn = {n: self._drawn.get(n) or self._worker.submit(self._draw, n) for n in wanted}
        return self._drawn[drawing].result()

    def close(self) -> None:
        """Stop drawing ahead."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    @cached_property
    def validation(self) -> Split:
        """Windows of the region set apart for validation, as the teacher sees them."""
        return self.windows_of(self.genome.validation)

    @cached_property
    def test(self) -> Split:
        """Windows of the region set apart for test."""
        return self.windows_of(self.genome.test)

    def windows_of(self, region: Region) -> Split:
        codes = self.genome.windows(region, self.config.held_out, np.random.default_rng((self.seed, 0)))
        return Split(codes, self.label(codes), None)

    def identity(self) -> dict[str, Any]:
        return {
            "source": f"the outputs of {self.teacher} on sequences drawn from a genome",
            "genome_sha256": self.genome.sha256,
            "teacher": self.teacher,
            **dataclasses.asdict(self.config),
            "seed": self.seed,
        }

    def _draw(self, number: int) -> Split:
        generator = np.random.default_rng((self.seed, number))
        size = self.config.epoch_size
        climbed = self._climb(int(size * self.config.climb), generator)
        shuffled, mutated, spliced = (
            int(size * s) for s in (self.config.shuffle, self.config.mutate, self.config.splice)
        )
        plain = self._windows(size - len(climbed.codes), generator)
        at = np.cumsum([shuffled, mutated, spliced])
        plain[: at[0]] = dinucleotide_shuffle(plain[: at[0]], generator)
        plain[at[0] : at[1]] = _mutated(plain[at[0] : at[1]], generator)
        plain[at[1] : at[2]] = _spliced(plain[at[1] : at[2]], self._windows(spliced, generator), generator)
        codes = np.concatenate([plain, climbed.codes])
        return Split(codes, np.concatenate([self.label(plain), climbed.targets]), None)

    def _windows(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return self.genome.windows(self.genome.train, count, generator)

    def _climb(self, count: int, generator: np.random.Generator) -> Split:
        """`count` labelled sequences: mutants of windows, of mutants, and so on, each lineage after an aim of its own.

        A lineage's aim is a direction in the space of the targets; of the mutants of a round, the one furthest along
        it lives on. All mutants of a round are kept, since their labels have been made.
        """
        lineages = count // (CLIMB_ROUNDS * CLIMB_CANDIDATES)
        aims = generator.standard_normal((lineages, len(self.targets))).astype(np.float32)
        parents = self._windows(lineages, generator)
        all_codes, all_targets = [], []
        for _ in range(CLIMB_ROUNDS):
            codes = mutate(np.repeat(parents, CLIMB_CANDIDATES, 0), CLIMB_MUTATIONS, generator)
            targets = self.label(codes)
            progress = (targets * np.repeat(aims, CLIMB_CANDIDATES, 0)).sum(1).reshape(lineages, CLIMB_CANDIDATES)
            best = np.arange(lineages) * CLIMB_CANDIDATES + progress.argmax(1)
            parents = codes[best]
            all_codes.append(codes)
            all_targets.append(targets)
        return Split(np.concatenate(all_codes), np.concatenate(all_targets), None)


def _mutated(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    low, high = np.log(MUTATION_RANGE)
    rates = np.exp(generator.uniform(low, high, (len(codes), 1)))
    return mutate(codes, rates, generator)


def _spliced(first: np.ndarray, second: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The beginning of one window and the end of another, joined at a random position."""
    cut = generator.integers(1, first.shape[1], (len(first), 1))
    return np.where(np.arange(first.shape[1]) < cut, first, second)
