"""Windows of a variant: the genome around it, and the same slice of the haplotype with an alternative allele.

With 0-based position p and shift 0, the reference window of 249 bases is [p - 124, p + 125). The window of an allele is
the same slice of the contig in which ALT replaces REF. Positions outside the contig are N. Positions are those of the
VCF: an indel is at the base before it.
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
"""Why an allele is not scored. symbolic: such as <DEL>. overlapping_deletion: * or <*>. breakend: such as G[chr2:7[.
missing: a point. other_letters: letters other than ACGTN. too_long: longer than the window. Arrays hold the index of
the reason."""


def reason(alt: str, ref: str, length: int) -> str:
    """The entry of REASONS for an allele, with windows of `length` bases."""
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
    """Where the windows of a variant are. length: L.  shifts: S numbers of bases by which windows are moved."""

    length: int
    shifts: Sequence[int]

    def windows(self, genome: IndexedFasta, variant: Variant, alt: str | None = None) -> list[np.ndarray]:
        """S windows, uint8 (L,) each, of the genome, or of the haplotype with an allele of ACGTN."""
        first = min(self.shifts)
        start, total = window_start(variant.position + first, self.length), self.length + max(self.shifts) - first
        if alt is None:
            codes = genome.window(variant.contig, start, total)
        else:
            before = genome.window(variant.contig, start, variant.position - start)
            allele = ascii_codes(alt.encode())
            after = max(0, total - len(before) - len(allele))
            behind = genome.window(variant.contig, variant.position + len(variant.ref), after)
            codes = np.concatenate([before, allele, behind])
        return [codes[shift - first : shift - first + self.length] for shift in self.shifts]


def genome_has(genome: IndexedFasta, variant: Variant) -> bool:
    """Whether the genome has REF at the position of a variant, in either case."""
    if not 0 <= variant.position <= genome.contigs[variant.contig] - len(variant.ref):
        return False
    try:
        ref = ascii_codes(variant.ref.encode("ascii"))
    except UnicodeEncodeError:
        return False
    return bool((genome.codes(variant.contig, variant.position, variant.position + len(ref)) == ref).all())
