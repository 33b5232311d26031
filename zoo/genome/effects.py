"""Effects of alleles, and their counts: what was scored, what was not, and why. Axes: A alleles, T targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import BadInput
from zoo.formats.columns import is_missing
from zoo.formats.vcf import Variant
from zoo.genome import figures
from zoo.prediction.columns import Columns

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

AFTER = {"ref_match": str, "status": str}
"""The last columns: yes, or no where REF differs from the genome; and one of REASONS, or MISMATCH."""

KINDS = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT minus REF"}
"""Columns for each target, such as ref_dev, alt_dev, delta_dev. Predictions are logarithms: delta is alt - ref."""

MEMBERS = {
    "delta_sd": "Standard deviation of the effect over the members of the ensemble",
    "agreement": "Share of the members whose effect has the sign of the mean effect",
}
"""Columns for each target of an ensemble, such as dev_delta_sd, and what they hold."""

SCORED = "scored"

PARTLY = "partly_outside"

REASONS = (SCORED, "symbolic", "overlapping_deletion", "breakend", "missing", "other_letters", "too_long", PARTLY)
"""Why an allele is not scored. symbolic: such as <DEL>. overlapping_deletion: * or <*>. breakend: such as G[chr2:7[.
missing: ALT or REF is a point, or a word such as NA. other_letters: letters other than ACGTN. too_long: longer than the
window. An allele that is partly outside is scored, but a window does not hold all of it. Arrays hold the index of the
reason."""

NUMBERED = (SCORED, PARTLY)
"""Alleles with numbers."""

MISMATCH = "ref_mismatch"

MANY_MISMATCHES = 0.1
"""Share of variants with another REF from which on a chunk is compared with the genome one base further and before."""

SHIFTED_SHARE = 0.9
"""Share of these variants that have the REF of the genome there, for a hint that positions are off by one."""

MOST_NAMED = 1000
"""The description names at most this number of alleles for each reason why they are not scored."""


@dataclasses.dataclass
class Effects:
    """A alleles of some variants.

    columns: LABELS of the alleles.  counts: alleles of each variant, or LEFT_OUT.
    match: uint8 (A,), whether REF is that of the genome.  reasons: uint8 (A,), indices of REASONS.
    lines: the record of each variant, for VCF.
    skipped: the variants that were left out.  read_as_n: letters of the genome in reference windows that are read as N.
    shifted: of variants with MANY_MISMATCHES, their number, and how many have the REF of the genome at POS, POS + 1 and
    POS - 1.
    ref, alt, delta: float32 (A, T), NaN where an allele is not scored; empty before the prediction. For an ensemble,
    means over its members.
    beside: further columns, float32 (A, T), see MEMBERS and pvalues.COLUMNS.
    """

    columns: list[list[Any]]
    counts: list[int]
    skipped: list[str]
    read_as_n: list[str]
    shifted: list[int]
    match: np.ndarray
    reasons: np.ndarray
    lines: list[str]
    ref: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))
    alt: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))
    delta: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))
    beside: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def kept(self) -> list[int]:
        """Alleles of each variant that was not left out."""
        return [count for count in self.counts if count != LEFT_OUT]

    @property
    def kept_lines(self) -> list[str]:
        return [line for line, count in zip(self.lines, self.counts, strict=True) if count != LEFT_OUT]

    def predicted(self, ref: np.ndarray, alt: np.ndarray, columns: Columns, used: np.ndarray | None) -> None:
        """Set the effects. ref, alt: predictions of all members, float32 (A, M * T).  used: which members predict each
        allele, bool (A, M); None for all."""
        each = alt - ref
        self.ref, self.alt = (columns.over_members(one, used)[0] for one in (ref, alt))
        self.delta, sd = columns.over_members(each, used)
        if sd is not None:
            same = np.sign(columns.by_member(each)) == np.sign(self.delta)
            counts = np.ones(same.shape[:2], bool) if used is None else used.T
            agreement = (same & counts[..., None]).sum(0) / counts.sum(0)[:, None]
            agreement[np.isnan(self.delta)] = np.nan
            self.beside = dict(zip(MEMBERS, (sd, agreement.astype(np.float32)), strict=True))


LEFT_OUT = -1

Add = Callable[[Effects], None]
"""Takes the effects of the next variants."""


class Report:
    """Counts of alleles, the names of those without numbers by the reason, and the effects for a figure."""

    def __init__(self, plot: figures.EffectPlot | None = None) -> None:
        self._plot = plot
        counted = ("records", MISMATCH, *REASONS[1:], "variants_without_alleles", "skipped", "ambiguous_letters")
        self.counts = dict.fromkeys(counted, 0)
        self.named: dict[str, list[str]] = {}
        self.skipped: list[str] = []
        self.read_as_n: list[str] = []
        self.variants = 0
        self.kinds_without_p: dict[str, int] = {}
        self._shifted = np.zeros(4, np.int64)

    def add(self, effects: Effects) -> Effects:
        self.variants += len(effects.counts)
        self.counts["records"] += len(effects.match)
        self.counts["variants_without_alleles"] += effects.counts.count(0)
        self.counts["skipped"] += len(effects.skipped)
        self.counts["ambiguous_letters"] += len(effects.read_as_n)
        self.skipped += effects.skipped[: MOST_NAMED - len(self.skipped)]
        new = dict.fromkeys(effects.read_as_n[: MOST_NAMED - len(self.read_as_n)])
        self.read_as_n += [name for name in new if name not in self.read_as_n]
        self._shifted += effects.shifted
        for row in np.flatnonzero((effects.match == 0) | (effects.reasons > 0)):
            contig, position, name, ref, alt = (column[row] for column in effects.columns)
            reason = REASONS[effects.reasons[row]]
            differs = not effects.match[row] and not is_missing(ref)
            for kind in (*([MISMATCH] if differs else []), *([] if reason == SCORED else [reason])):
                self.counts[kind] += 1
                names = self.named.setdefault(kind, [])
                if len(names) < MOST_NAMED:
                    names.append(Variant(contig, position - 1, name, ref, ()).shown(alt))
        if self._plot is not None and len(effects.match):
            self._plot.add(effects.columns, effects.delta)
        return effects

    def shift(self) -> str | None:
        """That positions are off by one, if nearly all variants would then have the REF of the genome."""
        variants, matches, plus, minus = self._shifted.tolist()
        found = max(plus, minus)
        if found <= matches or found < SHIFTED_SHARE * variants:
            return None
        change, cause = ("added to", "counted from 0") if plus >= minus else ("subtracted from", "one too high")
        return (
            f"with 1 {change} every POS, REF matches at {found:,} of {variants:,} variants instead of {matches:,}: are "
            f"the positions {cause}?"
        )

    def check(self, variants: Path, genome: Path) -> None:
        """Raise ZooError if no allele is left, or none has the REF of the genome: it must be another genome."""
        alleles = self.counts["records"]
        hint = self.shift() or "is it another assembly?"
        if self.counts[MISMATCH] and self.counts[MISMATCH] == alleles:
            raise BadInput(
                f"{variants}: the genome {genome} differs from REF at "
                f"{'its only allele' if alleles == 1 else f'all of its {alleles:,} alleles'}; {hint}"
            )
        if self.skipped and not alleles:
            count = self.counts["skipped"]
            raise BadInput(
                f"{variants}: {'its only variant is' if count == 1 else f'all of its {count:,} variants are'} skipped; "
                f"{self.shift() or ('it is' if count == 1 else 'the first is') + ' ' + self.skipped[0]}"
            )
