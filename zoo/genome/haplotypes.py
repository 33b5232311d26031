"""The windows of a variant: the genome's bases around it, and the same slice of the haplotype that has an allele.

With p the 0-based position and the shift 0, the reference window of 249 bases is [p - 124, p + 125), and an allele's is
the same slice of the contig in which REF is replaced by ALT. Outside of the contig stands N. Positions are those of the
VCF: indels anchored at the base before them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from zoo.dna.encoding import ascii_codes
from zoo.dna.windows import window_start
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.vcf import MISSING, Variant

BASES = re.compile(r"[ACGTNacgtn]+")

SCORED = "scored"

REASONS = (SCORED, "symbolic", "overlapping_deletion", "breakend", "missing", "other_letters", "too_long")
"""Why an allele is not scored: <DEL> and the like; * and <*>; ...[...; none; letters outside ACGTN; longer than the
window. The number of an allele's reason is its place here."""


def reason(alt: str, ref: str, length: int) -> str:
    """Which of REASONS holds for an allele, with windows of `length` bases."""
    if alt in ("*", "<*>"):
        return "overlapping_deletion"
    if alt.startswith("<"):
        return "symbolic"
    if alt in (MISSING, ""):
        return "missing"
    if "[" in alt or "]" in alt or alt.startswith(MISSING) or alt.endswith(MISSING):
        return "breakend"
    if not BASES.fullmatch(alt) or not BASES.fullmatch(ref):
        return "other_letters"
    return "too_long" if max(len(ref), len(alt)) > length else SCORED


@dataclasses.dataclass(frozen=True)
class Placements:
    """How the windows of a variant are cut. length: L.  shifts: S numbers of bases that they are moved by."""

    length: int
    shifts: Sequence[int]

    def reference(self, genome: IndexedFasta, variant: Variant) -> list[np.ndarray]:
        """S windows, uint8 (L,) each."""
        first, last = min(self.shifts), max(self.shifts)
        start = window_start(variant.position + first, self.length)
        codes = genome.window(variant.contig, start, self.length + last - first)
        return self._slices(codes)

    def alternative(self, genome: IndexedFasta, variant: Variant, alt: str) -> list[np.ndarray]:
        """S windows, uint8 (L,) each, of the haplotype with an allele of letters."""
        first, last = min(self.shifts), max(self.shifts)
        start = window_start(variant.position + first, self.length)
        total = self.length + last - first
        before = genome.window(variant.contig, start, variant.position - start)
        allele = ascii_codes(alt.encode())
        after = total - len(before) - len(allele)
        codes = [before, allele]
        if after > 0:
            codes.append(genome.window(variant.contig, variant.position + len(variant.ref), after))
        return self._slices(np.concatenate(codes))

    def _slices(self, codes: np.ndarray) -> list[np.ndarray]:
        first = min(self.shifts)
        return [codes[shift - first : shift - first + self.length] for shift in self.shifts]


def genome_has(genome: IndexedFasta, variant: Variant) -> bool:
    """Whether the bases of the genome at a variant are its REF, in either case."""
    if not 0 <= variant.position <= genome.contigs[variant.contig] - len(variant.ref):
        return False
    try:
        ref = ascii_codes(variant.ref.encode("ascii"))
    except UnicodeEncodeError:
        return False
    there = genome.codes(variant.contig, variant.position, variant.position + len(ref))
    return bool((there == ref).all())
