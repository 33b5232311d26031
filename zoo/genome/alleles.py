"""Alleles to windows: what is predicted for an allele and for the genome without it, and why some are not scored.

With 0-based position p and shift 0, the reference window of 249 bases is [p - 124, p + 125). The window of an allele is
the same slice of the contig in which ALT replaces REF; or, to keep the right flank in place, the slice moved by the
bases that ALT has more than REF. Positions outside the contig are N. Positions are those of the VCF: an indel is at the
base before it. Axes: A alleles, N windows, L positions.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from zoo.dna.encoding import ascii_codes
from zoo.dna.sites import IUPAC
from zoo.dna.windows import window_start
from zoo.errors import BadInput, counted
from zoo.formats.columns import is_missing
from zoo.formats.indexed_fasta import IndexedFasta, OtherLetter
from zoo.formats.names import shown
from zoo.formats.vcf import MISSING, BadVariant, Variant
from zoo.genome.effects import LABELS, LEFT_OUT, MANY_MISMATCHES, NUMBERED, PARTLY, REASONS, SCORED, Effects
from zoo.genome.options import AlleleOptions, VariantOptions
from zoo.spec import ALPHABET

BASES = re.compile(r"[ACGTNacgtn]+")

AMBIGUITY = {letter: bases[0] for letter, bases in IUPAC.items() if 1 < len(bases) < len(ALPHABET)}
"""IUPAC letter of a genome -> REF in VCF: the first of its bases by the alphabet (VCF 4.3, section 1.6.1, REF)."""

UNMOVED = AlleleOptions()
"""No shifts, and the left flank in its place."""


class Chunk:
    """Collects the alleles of some variants, and the windows to predict."""

    def __init__(self, genome: IndexedFasta, length: int, options: VariantOptions) -> None:
        self._genome, self._length, self._options = genome, length, options
        self._windows: list[np.ndarray] = []
        self._rows: list[tuple[int, int, bool, int]] = []
        self._labels: list[tuple[Any, ...]] = []
        self._references: dict[tuple[str, int, str | None], int] = {}
        self._counts: list[int] = []
        self._skipped: list[str] = []
        self._read_as_n: list[str] = []
        self._compared: list[tuple[Variant, bool]] = []

    def add(self, variant: Variant | BadVariant) -> None:
        """Raises BadInput for a variant that is refused, unless `skip_bad` is set."""
        try:
            if isinstance(variant, BadVariant):
                raise BadInput(f"{variant.where}: {variant.reason}")
            if variant.contig not in self._genome.contigs:
                raise BadInput(f"{variant.where}: {self._genome.unknown_contig(variant.contig)}")
            self._check_inside(variant)
            self._add(variant)
        except BadInput as error:
            if not self._options.skip_bad:
                raise BadInput(f"{error}; --skip-bad leaves such records out") from None
            self._counts.append(LEFT_OUT)
            self._skipped.append(str(error))

    def _check_inside(self, variant: Variant) -> None:
        """Raise BadInput for a position beyond the contig. The one behind its last base is a telomere if REF is N or
        missing (VCF 4.3, section 1.6.1, POS)."""
        bases = self._genome.contigs[variant.contig]
        telomere = variant.position == bases and (variant.ref.upper() == "N" or is_missing(variant.ref))
        if variant.position >= bases and not telomere:
            raise BadInput(
                f"{variant.where}: POS {variant.position + 1:,} is beyond {shown(variant.contig)}, which has "
                f"{counted(bases, 'bases')} in the genome {self._genome.path}"
            )

    def _add(self, variant: Variant) -> None:
        genome, length, options = self._genome, self._length, self._options
        match = genome_has(genome, variant)
        if not is_missing(variant.ref):
            self._compared.append((variant, match))
            if not match and self._options.skip_bad:
                raise self._mismatch(variant)
        reasons = [reason_of(alt, variant.ref, length, options) for alt in variant.alts]
        scored = [match and reason in NUMBERED for reason in reasons]
        try:
            found = [
                windows_of(genome, variant, alt, length, options) if is_scored else []
                for alt, is_scored in zip(variant.alts, scored, strict=True)
            ]
            reference = self._reference(variant) if any(scored) else -1
        except OtherLetter as error:
            raise BadInput(f"{variant.where}: {error}") from None
        for alt, windows, reason in zip(variant.alts, found, reasons, strict=True):
            places = (reference, len(self._windows)) if windows else (-1, -1)
            self._windows += windows
            self._rows.append((*places, match, REASONS.index(reason)))
            self._labels.append((variant.contig, variant.position + 1, variant.name, variant.ref, alt))
        self._counts.append(len(variant.alts))

    def _mismatch(self, variant: Variant) -> BadInput:
        start, stop, bases = (
            variant.position, variant.position + len(variant.ref), self._genome.contigs[variant.contig],
        )  # fmt: skip
        there = self._genome.letters(variant.contig, min(max(0, start), bases), min(max(0, stop), bases))
        return BadInput(
            f"{variant.where}: {variant.contig}:{start + 1}: expected REF as in the genome, "
            f"{shown(there) or 'which ends before it'}, got {shown(variant.ref)}"
        )

    def _shifted(self) -> list[int]:
        """See Effects."""
        matches = [match for _, match in self._compared]
        if matches.count(False) <= MANY_MISMATCHES * len(matches):
            return [0] * 4
        moved = [
            sum(genome_has(self._genome, one._replace(position=one.position + by)) for one, _ in self._compared)
            for by in (1, -1)
        ]
        return [len(matches), matches.count(True), *moved]

    def _reference(self, variant: Variant) -> int:
        """The number of the first window of the genome around a variant."""
        genome, start, stop = self._genome, variant.position, variant.position + len(variant.ref)
        # where the genome has another IUPAC letter than REF, REF counts
        ref = None if genome.letters(variant.contig, start, stop) == variant.ref.upper() else variant.ref
        place = variant.contig, start, ref
        if place not in self._references:
            windows = windows_of(genome, variant, ref, self._length, self._options)
            first, last = (
                window_start(start + shift, self._length)
                for shift in (min(self._options.shifts), max(self._options.shifts))
            )
            as_n = genome.ambiguous(variant.contig, first, last + self._length)
            as_n = [one for one in as_n if ref is None or not start <= one[0] < stop]
            self._read_as_n += genome.named(variant.contig, as_n)
            self._references[place] = len(self._windows)
            self._windows += windows
        return self._references[place]

    def effects(self, lines: list[str]) -> tuple[Effects, np.ndarray, np.ndarray]:
        """Effects without predictions; windows to predict, uint8 (N, L); and, intp (2, A), the first windows of each
        allele's reference and of its own, -1 where it is not scored."""
        codes = np.stack(self._windows) if self._windows else np.empty((0, self._length), np.uint8)
        table = np.array(self._rows, np.intp).reshape(-1, 4).T
        match, reasons = table[2:].astype(np.uint8)
        columns = [*map(list, zip(*self._labels, strict=True))] or [[]] * len(LABELS)
        lists = columns, self._counts, self._skipped, self._read_as_n, self._shifted()
        return Effects(*lists, match, reasons, lines), codes, table[:2]


def windows_of(
    genome: IndexedFasta, variant: Variant, alt: str | None, length: int, options: AlleleOptions
) -> list[np.ndarray]:
    """Windows of the genome for None, or of the haplotype with an allele of ACGTN: uint8 (length,) for each shift."""
    shifts = options.shifts
    first = min(shifts)
    start, total = window_start(variant.position + first, length), length + max(shifts) - first
    if alt is None:
        codes = genome.window(variant.contig, start, total)
    else:
        start += len(alt) - len(variant.ref) if options.flank == "right" else 0
        before = genome.window(variant.contig, start, max(0, variant.position - start))
        allele = ascii_codes(alt.encode())[max(0, start - variant.position) :]
        after = max(0, total - len(before) - len(allele))
        behind = genome.window(variant.contig, variant.position + len(variant.ref), after)
        codes = np.concatenate([before, allele, behind])
    return [codes[shift - first : shift - first + length] for shift in shifts]


def reason_of(alt: str, ref: str, length: int, options: AlleleOptions = UNMOVED) -> str:
    """The entry of REASONS for an allele, with windows of `length` bases."""
    if alt in ("*", "<*>"):
        return "overlapping_deletion"
    if alt.startswith("<"):
        return "symbolic"
    if is_missing(alt) or is_missing(ref):
        return "missing"
    if "[" in alt or "]" in alt or alt.startswith(MISSING) or alt.endswith(MISSING):
        return "breakend"
    if not BASES.fullmatch(alt) or not BASES.fullmatch(ref):
        return "other_letters"
    if max(len(ref), len(alt)) > length:
        return "too_long"
    left, right = options.flank == "left", options.flank == "right"
    behind, longer = window_start(0, length) + min(options.shifts) + length, len(alt) - len(ref)
    before = -window_start(0, length) - max(options.shifts)
    is_inside = len(ref) <= behind and longer * left <= behind - len(ref) and longer * right <= before
    return SCORED if is_inside else PARTLY


def genome_has(genome: IndexedFasta, variant: Variant) -> bool:
    """Whether the genome has REF at the position of a variant, in either case, letter by letter.

    Where the genome has an IUPAC letter such as R, REF may also be the base that VCF writes for it, see AMBIGUITY.
    """
    ref, start, stop = variant.ref.upper(), variant.position, variant.position + len(variant.ref)
    if not 0 <= start <= stop <= genome.contigs[variant.contig]:
        return False
    letters = genome.letters(variant.contig, start, stop)
    if ref == letters:
        return True
    return len(ref) == len(letters) and all(
        one in (letter, AMBIGUITY.get(letter)) for one, letter in zip(ref, letters, strict=True)
    )
