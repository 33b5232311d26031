"""How unusual the effects of variants are, beside those of random variants of the same kind.

p is the share of random variants of the kind whose effect is at least as large, whatever its sign: (k + 1) / (n + 1)
with k of n (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585). q is the false discovery rate by the procedure of
Benjamini and Hochberg over all alleles of a run. Axes: A alleles, T targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from zoo.errors import ZooError
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.genome.effects import LABELS, Effects
from zoo.genome.options import AlleleOptions
from zoo.prediction.background import KINDS, Background
from zoo.spec import ALPHABET

ACTIVE, P, Q = "active_percentile", "p", "q"

COLUMNS = {
    ACTIVE: "Percentile of the more active allele in the background",
    P: "Share of random variants of this kind with an effect at least as large",
    Q: "False discovery rate by Benjamini and Hochberg over all alleles of this file",
}
"""Columns for each target, such as dev_p, and what they hold; P and Q only if the background has random variants."""

UNKNOWN = "unknown kind"
"""An allele that is no change of known bases."""


def columns_of(background: Background | None) -> dict[str, str]:
    """The entries of COLUMNS that a background gives."""
    if background is None:
        return {}
    return {name: text for name, text in COLUMNS.items() if name == ACTIVE or background.about.get(KINDS)}


def check(background: Background, options: AlleleOptions) -> None:
    """Raise ZooError unless the random variants of a background were compared in the same way."""
    for name in ("shifts", "flank") if background.about.get(KINDS) else ():
        ours, theirs = getattr(options, name), background.about.get(name)
        if theirs != (list(ours) if isinstance(ours, tuple) else ours):
            words = ",".join(map(str, theirs)) if isinstance(theirs, list) else theirs
            raise ZooError(f"{background.path}: its random variants have --{name} {words}; give the same here")


class Ranks:
    """The effects of random variants in a background, by kind. without: kind of the alleles without a p -> number."""

    def __init__(self, background: Background, genome: IndexedFasta) -> None:
        kinds: Mapping[str, int] = background.about.get(KINDS, {})
        bounds = pairwise(np.cumsum([0, *kinds.values()]).tolist())
        self._background, self._genome = background, genome
        self._bounds = dict(zip(kinds, bounds, strict=True))
        self.without: dict[str, int] = {}

    def columns(self, effects: Iterable[Effects]) -> list[dict[str, np.ndarray]]:
        """For the effects of all variants of a run, in order, the columns beside them: name -> float32 (A, T)."""
        found = []
        for some in effects:
            percentiles = (self._background.percentiles(values) for values in (some.ref, some.alt))
            found.append({ACTIVE: np.maximum(*percentiles)})
            if self._bounds:
                found[-1][P] = self._p(some)
        if self._bounds and found:
            q = q_values(np.concatenate([one[P] for one in found]))
            for one, part in zip(found, np.split(q, np.cumsum([len(one[P]) for one in found])[:-1]), strict=True):
                one[Q] = part
        return found

    def _p(self, effects: Effects) -> np.ndarray:
        sizes = np.abs(effects.delta)
        p = np.full(sizes.shape, np.nan, np.float32)
        rows: dict[str, list[int]] = {}
        scored = np.flatnonzero(~np.isnan(sizes[:, 0])).tolist()
        for row, kind in zip(scored, kinds_of(self._genome, effects, scored), strict=True):
            rows.setdefault(kind, []).append(row)
        for kind, those in rows.items():
            if kind not in self._bounds:
                self.without[kind] = self.without.get(kind, 0) + len(those)
                continue
            first, stop = self._bounds[kind]
            for target, random in enumerate(self._background.effects[:, first:stop]):
                at_least = len(random) - np.searchsorted(random, sizes[those, target], "left")
                p[those, target] = (at_least + 1) / (len(random) + 1)
        return p


def q_values(p: np.ndarray) -> np.ndarray:
    """`false_discovery_rates` of each column of (A, T); NaN is no test. Returns float32 (A, T)."""
    q = np.full(p.shape, np.nan, np.float32)
    for target in range(p.shape[1]):
        tested = np.flatnonzero(~np.isnan(p[:, target]))
        order = tested[np.argsort(p[tested, target])]
        q[order, target] = false_discovery_rates(p[order, target].astype(np.float64), np.ones(len(order), np.int64))
    return q


def false_discovery_rates(p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The procedure of Benjamini and Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x): q of each p.

    p: rising, float64 (K,).  counts: tests with each p, int64 (K,).  Returns float64 (K,).
    """
    tests = np.cumsum(counts)
    ratios = p * tests[-1:] / np.maximum(tests, 1)
    return np.minimum.accumulate(ratios[::-1])[::-1]


def kinds_of(genome: IndexedFasta, effects: Effects, rows: Iterable[int]) -> Iterator[str]:
    """The kinds of these alleles, see `kind_of`."""
    contigs, positions, _, refs, alts = (effects.columns[place] for place in range(len(LABELS)))
    for row in rows:
        yield kind_of(genome, contigs[row], positions[row] - 1, refs[row], alts[row])


def kind_of(genome: IndexedFasta, contig: str, position: int, ref: str, alt: str) -> str:
    """The kind of an allele at a 0-based position, without the bases that REF and ALT share at their ends.

    A[C>T]G is a substitution between its two neighbours in the genome; all other kinds are told apart by their numbers
    of bases: deletion of 3, insertion of 2, or 3 replaced by 2.
    """
    ref, alt = ref.upper(), alt.upper()
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, position = ref[1:], alt[1:], position + 1
    if {*ref, *alt} - {*ALPHABET} or ref == alt:
        return UNKNOWN
    if len(ref) != 1 or len(alt) != 1:
        return named(len(ref), len(alt))
    if not 1 <= position <= genome.contigs[contig] - 2:
        return UNKNOWN
    around = genome.letters(contig, position - 1, position + 2)
    if {around[0], around[2]} - {*ALPHABET}:
        return UNKNOWN
    return substitution(around[0] + ref + around[2], alt)


def substitution(context: str, alt: str) -> str:
    """ "ACG", "T" -> "A[C>T]G"."""
    return f"{context[0]}[{context[1]}>{alt}]{context[2]}"


def named(deleted: int, inserted: int) -> str:
    """The kind of an allele that is no substitution, by its numbers of bases."""
    if deleted and inserted:
        return f"{deleted} replaced by {inserted}"
    return f"deletion of {deleted}" if deleted else f"insertion of {inserted}"
