"""What a motif adds: it is put into many backgrounds, and compared with each background without it.

Axes: B backgrounds, C conditions (a motif in an orientation at a place), M members, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError
from zoo.experiments import drawing, effects, inserts, measure
from zoo.experiments.backgrounds import Backgrounds, Block
from zoo.experiments.files import Table
from zoo.experiments.inserts import Motif
from zoo.experiments.measure import ACTIVITY, EFFECT, Found
from zoo.experiments.options import BackgroundSequences, InsertOptions, PlaceOptions
from zoo.formats.table_writer import Column
from zoo.options import check_kind, made
from zoo.prediction.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORIENTATIONS = {"+": ("+",), "-": ("-",), "both": ("+", "-")}


def starts_of(places: PlaceOptions, length: int, width: int) -> np.ndarray:
    """First positions of a motif of `width` bases, from 0. Raises ZooError if it does not fit into the sequence."""
    if places.everywhere:
        return np.arange(0, length - width + 1, places.step)
    start = inserts.middle(length, width) if places.position is None else places.position - 1
    if start + width > length:
        raise ZooError(f"--position {start + 1}: a motif of {width} bases does not fit into {length} bases there")
    return np.array([start])


class Marginalization:
    """See measure.Experiment. Raises ZooError for motifs, places and targets that do not fit the model."""

    tested = None

    def __init__(
        self, model: Model, motif_options: InsertOptions, places: PlaceOptions, seed: int, targets: Sequence[str] = ()
    ) -> None:
        length = model.spec.sequence_length
        self.targets = model.spec.target_indices(targets)
        self._options, self._seed = motif_options, seed
        self._conditions: list[tuple[Motif, str, np.ndarray]] = [
            (motif, strand, starts_of(places, length, len(motif)))
            for motif in inserts.motifs(motif_options, length)
            for strand in ORIENTATIONS[places.orientation]
        ]

    @property
    def labels(self) -> Mapping[str, Column]:
        """The motif, its orientation, and its first position, counted from 1."""
        rows = [(motif.name, strand, int(start) + 1) for motif, strand, starts in self._conditions for start in starts]
        return dict(zip(("motif", "orientation", "position"), map(list, zip(*rows, strict=True)), strict=True))

    def effects(self, model: Model, block: Block) -> Mapping[str, np.ndarray]:
        parts = []
        for motif, strand, starts in self._conditions:
            bases = motif.written(self._options, len(block.codes), self._seed, block.number)
            bases = reverse_complement(bases) if strand == "-" else bases
            changed = inserts.put(block.codes, bases, starts)
            parts.append(effects.of_backgrounds(model, block.codes, changed, self.targets))
        added = np.concatenate(parts, axis=1)
        before = effects.predicted(model, block.codes, self.targets)
        return {EFFECT: added, ACTIVITY: before[:, None] + added}

    def draw(self, table: Table, unit: str) -> Figure:
        measured = table.interval(EFFECT)
        names = [motif.name if strand == "+" else f"{motif.name} (-)" for motif, strand, _ in self._conditions]
        if all(len(starts) == 1 for *_, starts in self._conditions):
            return drawing.bars(names, {EFFECT: measured}, table.targets, f"effect ({unit})")
        ends = np.cumsum([len(starts) for *_, starts in self._conditions])
        lines = {
            name: (starts + 1, slice(end - len(starts), end))
            for name, (_, _, starts), end in zip(names, self._conditions, ends, strict=True)
        }
        return drawing.lines(lines, measured, table.targets, "first position of the motif", f"effect ({unit})")


def marginalize(
    model: Model,
    motifs: str | Sequence[str],
    sequences: Sequence[str] | np.ndarray | None = None,
    *,
    targets: Sequence[str] = (),
    known: str | Path | None = None,
    letters: Literal["consensus", "drawn"] = "consensus",
    position: int | None = None,
    everywhere: bool = False,
    step: int = 1,
    orientation: Literal["+", "-", "both"] = "+",
    **options: Any,
) -> Found:
    """Measure what motifs add to the activity of backgrounds.

    motifs: names in `known`, a MEME file (by default motifs of fly enhancers), or sites of IUPAC letters, or NAME=SITE.
    sequences: backgrounds, N texts or base codes, uint8 (N, L); by default random sequences.
    targets: names; by default all.  letters, position (counted from 1), everywhere, step, orientation: see
        InsertOptions and PlaceOptions.  options: fields of BackgroundSequences.
    Returns the mean effect on each target with its 95% interval, and the effect in each background. Raises ZooError for
    unknown motifs, places and targets.
    """
    check_kind("model", model, Model)
    chosen = InsertOptions(
        (motifs,) if isinstance(motifs, str) else tuple(motifs), None if known is None else Path(known), letters
    )
    places = PlaceOptions(position, everywhere, step, orientation)
    sampling = made(BackgroundSequences, options)
    experiment = Marginalization(model, chosen, places, sampling.seed, targets)
    given = None if sequences is None else model.codes(sequences)
    return measure.found(model, experiment, Backgrounds(sampling, model.spec.sequence_length, given))
