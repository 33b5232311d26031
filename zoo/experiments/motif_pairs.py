"""All pairs of a set of motifs: which of them interact?

Axes: K motifs, C = K x K conditions (a motif, and one downstream of it), T targets.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.experiments import arrangements, drawing, inserts, measure
from zoo.experiments.arrangements import ORIENTATIONS, Arrangement, Arrangements, Placement
from zoo.experiments.backgrounds import Backgrounds, Block
from zoo.experiments.files import Table
from zoo.experiments.inserts import Motif
from zoo.experiments.measure import Found
from zoo.experiments.options import BackgroundSequences, InsertOptions, PairOptions
from zoo.formats.table_writer import Column
from zoo.options import check_kind, made
from zoo.prediction.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = range(10, 51, 10)
"""Distances by default."""


class Pairs:
    """See measure.Experiment. Raises ZooError for motifs, distances and targets that do not fit the model."""

    def __init__(
        self, model: Model, motif_options: InsertOptions, options: PairOptions, seed: int, targets: Sequence[str] = ()
    ) -> None:
        length = model.spec.sequence_length
        self.targets = model.spec.target_indices(targets)
        self.tested = arrangements.quantity(options, model.spec)
        motifs = inserts.motifs(motif_options, length, all_known=True)
        self._names = [one.name for one in motifs]
        found: list[Arrangement] = []
        rows: list[int] = []

        def longest(pair: Sequence[Motif]) -> int:
            return arrangements.longest(options, length, len(pair[0]), len(pair[1]), before=False)

        tightest = min(itertools.product(motifs, repeat=2), key=longest)
        # the same distances for all pairs, whose means are compared
        distances = arrangements.distances_of(options, USUAL, longest(tightest), tightest)
        for first, second in itertools.product(range(len(motifs)), repeat=2):
            widths = len(motifs[first]), len(motifs[second])
            for distance in distances:
                one, other = arrangements.starts(options, length, *widths, distance, before=False)
                for strand, other_strand in ORIENTATIONS[options.orientations]:
                    found.append(Arrangement(Placement(one, strand, first), Placement(other, other_strand, second)))
                    rows.append(first * len(motifs) + second)
        self._effects = Arrangements(motifs, found, rows, motif_options, seed, self.tested)

    @property
    def labels(self) -> Mapping[str, Column]:
        """The motif that is upstream, and the one that is downstream."""
        count = len(self._names)
        return {"first": [name for name in self._names for _ in range(count)], "second": self._names * count}

    def effects(self, model: Model, block: Block) -> Mapping[str, np.ndarray]:
        return self._effects.effects(model, block, self.targets)

    def draw(self, table: Table, unit: str) -> Figure:
        label = arrangements.label(self.tested, unit)
        return drawing.matrix(self._names, table.interval(self.tested), table.targets, label)


def pairs(
    model: Model,
    motifs: Sequence[str] = (),
    sequences: Sequence[str] | np.ndarray | None = None,
    *,
    targets: Sequence[str] = (),
    known: str | Path | None = None,
    letters: Literal["consensus", "drawn"] = "consensus",
    distances: Sequence[int] | None = None,
    orientations: Literal["all", "given"] = "given",
    centred: Literal["first", "pair"] = "first",
    expectation: Literal["multiplicative", "additive"] = "multiplicative",
    **options: Any,
) -> Found:
    """Measure which pairs of motifs interact, on average over some distances.

    motifs: names in `known`, a MEME file (by default motifs of fly enhancers), or sites of IUPAC letters, or NAME=SITE;
        by default all motifs of the file.
    sequences: backgrounds, N texts or base codes, uint8 (N, L); by default random sequences.
    targets: names; by default all.  distances: bases between the motifs, by default 10, 20, 30, 40, 50.  orientations,
        centred, expectation: see PairOptions.  options: fields of BackgroundSequences.
    Returns a row for each motif and each one downstream of it: the mean joint effect, the mean effect of each alone,
    and their cooperativity, each with its 95% interval; p of the test that the cooperativity is 0, and q by Benjamini
    and Hochberg over the pairs; and the cooperativity in each background. Raises ZooError for unknown motifs and
    targets, and for distances that do not fit.
    """
    check_kind("model", model, Model)
    chosen = InsertOptions(tuple(motifs), None if known is None else Path(known), letters)
    syntax = PairOptions(tuple(map(str, distances or ())), None, orientations, centred, expectation)
    sampling = made(BackgroundSequences, options)
    experiment = Pairs(model, chosen, syntax, sampling.seed, targets)
    given = None if sequences is None else model.codes(sequences)
    return measure.found(model, experiment, Backgrounds(sampling, model.spec.sequence_length, given))
