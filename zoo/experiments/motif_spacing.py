"""Two motifs at every distance, in both orders and all orientations: do they add up, or do they interact?

Axes: C conditions (an order, two orientations and a distance), T targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.errors import ZooError
from zoo.experiments import arrangements, drawing, inserts, measure
from zoo.experiments.arrangements import ORIENTATIONS, Arrangement, Arrangements, Placement
from zoo.experiments.backgrounds import Backgrounds, Block
from zoo.experiments.files import Table
from zoo.experiments.measure import Found
from zoo.experiments.options import BackgroundSequences, InsertOptions, SpacingOptions
from zoo.formats.table_writer import Column
from zoo.options import check_kind, made
from zoo.prediction.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = range(101)
"""Distances by default."""

ORDERS = {"both": (False, True), "given": (False,)}
"""Whether the second motif is before the first one."""


class Spacing:
    """See measure.Experiment. Raises ZooError for motifs, distances and targets that do not fit the model."""

    tested = None

    def __init__(
        self,
        model: Model,
        motif_options: InsertOptions,
        options: SpacingOptions,
        seed: int,
        targets: Sequence[str] = (),
    ) -> None:
        length = model.spec.sequence_length
        self.targets = model.spec.target_indices(targets)
        self._options = options
        self._shown = arrangements.quantity(options, model.spec)
        pair = inserts.motifs(motif_options, length, repeated=True)
        if len(pair) != 2:
            raise ZooError(f"--motifs: expected two motifs, such as GATA,AP-1, got {len(pair)}")
        self._names = tuple(one.name for one in pair)
        widths = len(pair[0]), len(pair[1])
        longest = arrangements.longest(options, length, *widths, before=options.order == "both")
        self._distances = arrangements.distances_of(options, USUAL, longest, pair)
        self._all: list[Arrangement] = []
        rows: list[int] = []
        for first_strand, second_strand in ORIENTATIONS[options.orientations]:
            for before in ORDERS[options.order]:
                for number, distance in enumerate(self._distances):
                    first, second = arrangements.starts(options, length, *widths, distance, before)
                    rows.append(number if options.average else len(self._all))
                    self._all.append(
                        Arrangement(Placement(first, first_strand, 0), Placement(second, second_strand, 1))
                    )
        self._effects = Arrangements(pair, self._all, rows, motif_options, seed, self._shown)

    @property
    def labels(self) -> Mapping[str, Column]:
        """The motifs, which is upstream, their orientations, the bases between them, and their first positions,
        counted from 1; of averages, the motifs and the distance."""
        a, b = self._names
        if self._options.average:
            count = len(self._distances)
            return {"first": [a] * count, "second": [b] * count, "distance": self._distances}
        return {
            "first": [a] * len(self._all),
            "second": [b] * len(self._all),
            "order": [self._order(one) for one in self._all],
            "first_orientation": [one.first.strand for one in self._all],
            "second_orientation": [one.second.strand for one in self._all],
            "distance": self._distances * (len(self._all) // len(self._distances)),
            "first_position": [one.first.start + 1 for one in self._all],
            "second_position": [one.second.start + 1 for one in self._all],
        }

    def effects(self, model: Model, block: Block) -> Mapping[str, np.ndarray]:
        return self._effects.effects(model, block, self.targets)

    def draw(self, table: Table, unit: str) -> Figure:
        x, count = np.array(self._distances), len(self._distances)
        lines: dict[str, dict[str, tuple[np.ndarray, slice]]] = {}
        for number in range(1 if self._options.average else len(self._all) // count):
            one = self._all[number * count]
            first, second = self._names
            title = "" if self._options.average else f"{first} ({one.first.strand}), {second} ({one.second.strand})"
            order = f"{first}, {second}" if self._options.average else self._order(one).replace(",", ", then ")
            if first == second and not self._options.average:
                order = f"second {'before' if one.second.start < one.first.start else 'after'} first"
            lines.setdefault(title, {})[order] = (x, slice(number * count, (number + 1) * count))
        label = arrangements.label(self._shown, unit)
        return drawing.grid(lines, table.interval(self._shown), table.targets, "bases between the motifs", label)

    def _order(self, one: Arrangement) -> str:
        return ",".join(self._names if one.first.start < one.second.start else self._names[::-1])


def spacing(
    model: Model,
    motifs: Sequence[str],
    sequences: Sequence[str] | np.ndarray | None = None,
    *,
    targets: Sequence[str] = (),
    known: str | Path | None = None,
    letters: Literal["consensus", "drawn"] = "consensus",
    distances: Sequence[int] | None = None,
    orientations: Literal["all", "given"] = "all",
    order: Literal["both", "given"] = "both",
    centred: Literal["first", "pair"] = "first",
    average: bool = False,
    expectation: Literal["multiplicative", "additive"] = "multiplicative",
    **options: Any,
) -> Found:
    """Measure whether two motifs interact, at each distance.

    motifs: two names in `known`, a MEME file (by default motifs of fly enhancers), or sites of IUPAC letters, or
        NAME=SITE; the same motif twice is allowed.
    sequences: backgrounds, N texts or base codes, uint8 (N, L); by default random sequences.
    targets: names; by default all.  distances: bases between the motifs, by default 0 to 100.  orientations, order,
        centred, average, expectation: see SpacingOptions.  options: fields of BackgroundSequences.
    Returns the mean joint effect, the mean effect of each motif alone at the same place, and their cooperativity, each
    with its 95% interval; and the cooperativity in each background. Raises ZooError for unknown motifs and targets, and
    for distances that do not fit.
    """
    check_kind("model", model, Model)
    chosen = InsertOptions(tuple(motifs), None if known is None else Path(known), letters)
    syntax = SpacingOptions(
        tuple(map(str, distances or ())), None, orientations, centred, expectation, order=order, average=average
    )
    sampling = made(BackgroundSequences, options)
    experiment = Spacing(model, chosen, syntax, sampling.seed, targets)
    given = None if sequences is None else model.codes(sequences)
    return measure.found(model, experiment, Backgrounds(sampling, model.spec.sequence_length, given))
