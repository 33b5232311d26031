"""Distillation: training on sequences from a genome, new ones in every epoch, labelled with a teacher's outputs.

Five kinds of sequences show the student how the teacher responds to real DNA and to other sequences: windows of both
strands at any offset; shuffled windows that keep dinucleotide counts; mutated windows; windows spliced from two; and
climbed sequences, evolved by rounds of mutation and selection to higher or lower activity, which cover the extremes.
Every sequence follows from the seed, the number of the draw and the teacher.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Annotated, Any

import numpy as np

from zoo.card import LONGEST, Card
from zoo.data.labelled import Split
from zoo.dna.augment import mutate
from zoo.dna.shuffle import dinucleotide_shuffle
from zoo.errors import ZooError
from zoo.formats.genome import Genome, Region
from zoo.options import Bounds, check

Label = Callable[[np.ndarray], np.ndarray]
"""The teacher: base codes, uint8 (N, L) -> activities, float32 (N, T)."""

CLIMB_ROUNDS = 8
"""Rounds of mutation and selection; the sequences of every round are used."""

CLIMB_MUTATIONS = 0.02
"""Share of bases mutated in a round of climbing: 5 of 249."""

CLIMB_CANDIDATES = 3
"""Mutants of a sequence from which a round selects one."""

MUTATION_RANGE = (0.01, 0.25)
"""Range of the share of bases replaced in a mutated sequence, which is drawn log-uniformly."""

HELD_OUT_WINDOWS = 10_000


Share = Annotated[float, Bounds(0, 1)]


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """The sequences that a student is trained on. The shares leave the rest to plain windows of the genome."""

    epoch_size: Annotated[int, Bounds(CLIMB_ROUNDS * CLIMB_CANDIDATES)] = 200_000
    """Sequences per epoch."""

    passes: Annotated[int, Bounds(1)] = 1
    """Consecutive epochs on the same sequences; more than 1 saves time where labels are as slow as training steps."""

    shuffle: Share = 0.05
    """Share of dinucleotide-shuffled windows."""

    mutate: Share = 0.15
    """Share of mutated windows."""

    splice: Share = 0.15
    """Share of windows spliced from two."""

    climb: Share = 0.3
    """Share of sequences evolved to higher or lower activity."""

    held_out: Annotated[int, Bounds(1)] = HELD_OUT_WINDOWS
    """Windows in the validation split, and as many in the test split, from parts of the genome set apart for them."""

    def __post_init__(self) -> None:
        check(self)
        if (total := self.shuffle + self.mutate + self.splice + self.climb) > 1:
            raise ZooError(f"shuffle, mutate, splice and climb: expected at most 1 together, got {total:g}")


class DistillSource:
    """A training source (see zoo/data/dataset.py).

    seed: random seed of the sequences.
    card: that of the teacher, whose activities the student predicts.
    ahead: draw the next sequences during training. This helps if another device trains; on the same processor, drawing
    and training only slow each other down.
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
        card: Card | None = None,
    ) -> None:
        self.genome, self.label, self.teacher, self.targets, self.config = genome, label, teacher, targets, config
        self.seed = seed
        about = f"predictions of {teacher} on sequences drawn from a genome"
        self.card = dataclasses.replace(card or Card(), training_data=about[:LONGEST], held_out=(), source_sha256="")
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
        """Labelled windows of the validation region."""
        return self.windows_of(self.genome.validation)

    @cached_property
    def test(self) -> Split:
        """Labelled windows of the test region."""
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
        """`count` labelled sequences: mutants of windows, mutants of those, and so on.

        Each lineage has a random direction in the space of the targets. The mutant of a round that is furthest in that
        direction is the parent of the next round. All mutants are kept, since they have labels.
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
