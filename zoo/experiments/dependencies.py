"""How a base decides what other bases do: maps of dependencies between positions, for each sequence and target.

Three measures, with f the activity, i a mutated position and j another:

    interaction  f(both) - f(only i) - f(only j) + f(neither): how far the effect of both substitutions is from the sum
                 of their effects. An element has the largest of all pairs of substitutions at i and j, with its sign.
                 The map is symmetric, and its diagonal is 0.
    ism          the change of the contribution of j when i is mutated, without its sign: the mean over the
    gradient     substitutions at i. Contributions are by in silico mutagenesis, or by input x gradient, both with the
                 mean over the four bases subtracted. These are the definitions of tangermeme.dependency_map with
                 saturation_mutagenesis and with saliency, where i is the last axis. The diagonal is the change of the
                 mutated base itself.

Nucleotide dependencies are from Tomaz da Silva et al. 2025 (Nature Genetics, doi:10.1038/s41588-025-02347-3), who
measure the predictions of language models. Of an ensemble, a map is the mean over its members.
Axes: N sequences, L positions, R of them mapped, S single mutants, M members, T targets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.errors import CheckFailed
from zoo.experiments import effects, files
from zoo.experiments.dependency_figure import Panel, figure
from zoo.experiments.files import Listed, Outputs
from zoo.experiments.measure import Progress, names
from zoo.experiments.options import DependencyOptions
from zoo.explain.methods import centred, mutation
from zoo.options import check_kind, made
from zoo.prediction.members import parts_of
from zoo.prediction.model import Model
from zoo.spec import ALPHABET, SPREAD
from zoo.system import figures

INTERACTION, GRADIENT = "interaction", "gradient"

POSITIONS = 16
"""Positions that are mutated together."""

MAPS, SPREADS = "maps", "sd"
"""Arrays of the npz file."""


class Map(NamedTuple):
    """The dependencies in a sequence.

    values: float32 (R, R, T), element [i, j, t] for the mutated position i.  sd: their standard deviation over the
    members of an ensemble, else None.  pairs: for interactions, the substitutions of each element as places in
    (4, 4), intp (R, R, T).  contributions: of the sequence's own bases, float32 (R, T).
    """

    values: np.ndarray
    sd: np.ndarray | None
    pairs: np.ndarray | None
    contributions: np.ndarray


class Dependencies:
    """A measure of dependencies. Raises ZooError for positions and targets that do not fit the model, and where no
    runtime can compute the measure."""

    def __init__(self, model: Model, options: DependencyOptions, targets: Sequence[str] = ()) -> None:
        self.options = options
        self.targets = model.spec.target_indices(targets)
        self.span = options.span(model.spec.sequence_length)
        model.session.runtime_of(GRADIENT if options.measure == GRADIENT else "mutants")
        self._model = model

    @property
    def names(self) -> list[str]:
        """Names of the targets."""
        return names(self._model.spec, self.targets)

    def map(self, codes: np.ndarray, on_progress: Callable[[int], None] = lambda _: None) -> Map:
        """Base codes, uint8 (L,) -> the map of the sequence. on_progress: called with the number of new positions."""
        interacting = self.options.measure == INTERACTION
        unchanged = (self._effects if interacting else self._contributions)(codes[None])[0]
        parts = []
        for first in range(self.span.start, self.span.stop, POSITIONS):
            positions = np.arange(first, min(first + POSITIONS, self.span.stop))
            compare = self._interactions if interacting else self._changes
            parts.append(compare(codes, positions, unchanged))
            on_progress(len(positions))
        values, sd, pairs = zip(*parts, strict=True)
        if not all(np.isfinite(part).all() for part in values):
            raise CheckFailed("the model gave an output that is not finite")
        own = self._contributions(codes[None])[0].mean(1, dtype=np.float64).astype(np.float32)
        return Map(np.concatenate(values), _joined(sd), _joined(pairs), own)

    def _interactions(self, codes: np.ndarray, positions: np.ndarray, unchanged: np.ndarray) -> tuple[Any, Any, Any]:
        """Rows of a map. unchanged: effects in the sequence, float32 (R, 4, M, T)."""
        place, base, mutants = _single_mutants(codes, positions)
        found = np.zeros((len(positions), len(ALPHABET), *unchanged.shape), np.float32)
        found[place, base] = self._effects(mutants) - unchanged
        # the second substitution at the same position replaces the first
        found[np.arange(len(positions)), :, positions - self.span.start] = 0
        by_pair = np.moveaxis(found, 1, 2).reshape(len(positions), len(unchanged), -1, *unchanged.shape[2:])
        mean = by_pair.mean(3, dtype=np.float64)
        pairs = np.abs(mean).argmax(2)
        chosen = np.take_along_axis(by_pair, pairs[:, :, None, None], 2)[:, :, 0]
        return *_over_members(chosen), pairs

    def _changes(self, codes: np.ndarray, positions: np.ndarray, unchanged: np.ndarray) -> tuple[Any, Any, None]:
        """Rows of a map. unchanged: contributions in the sequence, float32 (R, M, T)."""
        place, _, mutants = _single_mutants(codes, positions)
        sums = np.zeros((len(positions), *unchanged.shape))
        np.add.at(sums, place, np.abs(self._contributions(mutants) - unchanged))
        return *_over_members(sums / np.bincount(place)[:, None, None, None]), None

    def _effects(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> effects of substitutions, float32 (N, R, 4, M, T)."""
        return self._of_members(self._model.each.mutants(codes)[:, self.span])

    def _contributions(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> contributions of the sequences' own bases, float32 (N, R, M, T)."""
        scores = self._gradients(codes) if self.options.measure == GRADIENT else self._effects(codes)
        own: np.ndarray = centred(scores) * ONE_HOT[codes[:, self.span], :, None, None]
        return own.sum(2)

    def _gradients(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> gradients, float32 (N, R, 4, M, T)."""
        of_members = [
            np.stack([one.gradient(codes, target)[:, self.span] for target in self.targets], -1)
            for one in parts_of(self._model.session)
        ]
        return np.stack(of_members, -2)

    def _of_members(self, numbers: np.ndarray) -> np.ndarray:
        return effects.of_members(numbers, self._model.spec, self.targets)


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else None


def _single_mutants(codes: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All substitutions at some positions: the place among `positions` of each, its base, and the sequence, uint8
    (S, L). An N has four alternatives."""
    place, base = np.nonzero(codes[positions, None] != np.arange(len(ALPHABET)))
    mutants = np.repeat(codes[None], len(place), 0)
    mutants[np.arange(len(place)), positions[place]] = base
    return place, base, mutants


def _over_members(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(P, R, M, T) -> mean and, for an ensemble, standard deviation over the members, float32 (P, R, T)."""
    mean = numbers.mean(2, dtype=np.float64).astype(np.float32)
    several = numbers.shape[2] > 1
    return mean, numbers.std(2, ddof=1, dtype=np.float64).astype(np.float32) if several else None


class Found(NamedTuple):
    """Dependencies in sequences.

    table: the strongest pairs of positions in each sequence.  maps: float32 (N, R, R, T), element [n, i, j, t] for the
    mutated position i.  sd: their standard deviation over the members of an ensemble, else None.
    positions: the mapped positions, counted from 1, intp (R,).
    """

    table: Listed
    maps: np.ndarray
    sd: np.ndarray | None
    positions: np.ndarray

    def frame(self) -> Any:
        """The table as a pandas DataFrame."""
        return self.table.frame()


def dependency(
    model: Model, sequences: Sequence[str] | np.ndarray, *, targets: Sequence[str] = (), **options: Any
) -> Found:
    """Map how a mutation at one position changes what other positions do.

    sequences: N texts, or base codes, uint8 (N, L).  targets: names; by default all.  options: fields of
        DependencyOptions, such as measure="ism" and positions="100-150".
    Of an ensemble, maps are means over its members. Raises ZooError for unknown targets and options, and for positions
    outside the sequences.
    """
    check_kind("model", model, Model)
    measure = Dependencies(model, made(DependencyOptions, options), targets)
    codes = model.codes(sequences)
    model.settle()
    found = [measure.map(one) for one in codes]
    size = len(range(measure.span.start, measure.span.stop))
    none = np.empty((0, size, size, len(measure.targets)), np.float32)
    maps = np.stack([one.values for one in found]) if found else none
    sd = np.stack([one.sd for one in found]) if found and found[0].sd is not None else None  # type: ignore[misc]
    labels = [f"sequence {number}" for number in range(1, len(codes) + 1)]
    rows = [row for label, one, row_codes in zip(labels, found, codes, strict=True)
            for row in strongest(measure, label, row_codes, one)]  # fmt: skip
    return Found(_table(measure, rows, sd is not None), maps, sd, np.arange(measure.span.start, measure.span.stop) + 1)


Pair = tuple[Any, ...]
"""A row of the table: LABELS, the number, and its standard deviation over members."""

LABELS = ("sequence", "target", "position", "mutation", "other_position", "other_mutation")


def strongest(measure: Dependencies, name: str, codes: np.ndarray, found: Map) -> Iterator[Pair]:
    """The pairs of positions with the largest numbers, for each target; an interaction is one pair in either order.
    Pairs without any dependency are left out."""
    size, first = len(found.values), measure.span.start
    allowed = np.tri(size, k=-1, dtype=bool).T if found.pairs is not None else ~np.eye(size, dtype=bool)
    for number, target in enumerate(measure.names):
        values = found.values[:, :, number]
        sizes = np.where(allowed, np.abs(values), 0).ravel()
        for place in np.argsort(-sizes, kind="stable")[: measure.options.pairs]:
            if not sizes[place]:
                break
            i, j = divmod(int(place), size)
            if found.pairs is not None:
                bases = divmod(int(found.pairs[i, j, number]), len(ALPHABET))
                words = [
                    mutation(codes, (first + at) * len(ALPHABET) + to) for at, to in zip((i, j), bases, strict=True)
                ]
            else:
                words = [f"{(ALPHABET + 'N')[codes[first + at]]}{first + at + 1}" for at in (i, j)]
            sd = None if found.sd is None else found.sd[i, j, number]
            yield name, target, first + i + 1, words[0], first + j + 1, words[1], values[i, j], sd


def _table(measure: Dependencies, rows: Sequence[Pair], ensemble: bool) -> Listed:
    columns = list(zip(*rows, strict=True)) or [()] * (len(LABELS) + 2)
    numbers: dict[str, np.ndarray] = {measure.options.measure: np.array(columns[-2], np.float32)}
    if ensemble:
        numbers[f"{measure.options.measure}{SPREAD}"] = np.array(columns[-1], np.float32)
    return Listed(dict(zip(LABELS, map(list, columns), strict=False)), numbers, measure.names)


def save(
    model: Model,
    measure: Dependencies,
    codes: np.ndarray,
    labels: Sequence[str],
    outputs: Outputs,
    options: dict[str, Any],
    on_progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Write the folder of `zoo dependency`, see files.py, in memory that does not grow with the sequences, apart from
    their bases. Returns the description of the run.

    codes: uint8 (N, L).  labels: names of the sequences.  on_progress: called with mutated positions, and all of them.
    """
    model.settle()
    rows: list[Pair] = []
    panels: list[Panel] = []
    size, done = len(range(measure.span.start, measure.span.stop)), 0
    shape = (len(codes), size, size, len(measure.targets))
    kinds = (MAPS, SPREADS) if model.spec.members else (MAPS,)

    def more(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, len(codes) * size)

    with outputs.opened() as folder:
        path = folder / f"{outputs.name}.npz"
        with contextlib.closing(files.Arrays(path, dict.fromkeys(kinds, shape))) as arrays:
            for label, one in zip(labels, codes, strict=True):
                found = measure.map(one, more)
                arrays.add(*(numbers for numbers in (found.values, found.sd) if numbers is not None))
                rows += strongest(measure, label, one, found)
                if len(panels) < measure.options.panels:
                    panels.append(Panel(label, one[measure.span], found.values, found.contributions))
            table = _table(measure, rows, bool(model.spec.members))
            facts = {"names": np.array(labels), "targets": np.array(measure.names)}
            arrays.finish(facts | {"positions": np.arange(measure.span.start, measure.span.stop) + 1})
        drawn = figure(panels, measure.names, measure.options.measure, measure.span.start + 1, model.spec.unit)
        figures.write(drawn, folder / f"{outputs.name}.{outputs.figure_format}")
        counts = {"records": len(codes), "pairs": len(rows)}
        return files.write(outputs, folder, model, table, {"options": options, "counts": counts})
