"""Variants to effects: what the model predicts for each alternative allele, and for the genome without it, in parts.

With 0-based position p and shift 0, the reference window of 249 bases is [p - 124, p + 125). The window of an allele is
the same slice of the contig in which ALT replaces REF. Positions outside the contig are N. Positions are those of the
VCF: an indel is at the base before it.

Each allele has a row, in the order of the file. An allele that cannot be scored, or whose REF differs from the genome,
has a row without numbers; its status says why, and the description counts and names it. With `skip_bad`, records that
cannot be read or whose REF differs are left out instead. The effects are written as a table, or as the VCF itself with
further INFO fields and an index. Axes: A alleles, N windows, T targets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.dna.encoding import ascii_codes
from zoo.dna.read_options import Ambiguous
from zoo.dna.sites import IUPAC
from zoo.dna.windows import window_start
from zoo.errors import BadInput, CheckFailed, ZooError, counted
from zoo.formats import table_writer, vcf
from zoo.formats.columns import is_missing
from zoo.formats.indexed_fasta import IndexedFasta, OtherLetter
from zoo.formats.names import none_among, shown
from zoo.formats.table_writer import Digested, Layout
from zoo.formats.vcf import MISSING, BadVariant, InfoField, Variant
from zoo.genome import figures, shards
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import description
from zoo.prediction.run import description_path
from zoo.spec import ALPHABET, ModelSpec
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing

CHUNK = 2048
"""Variants whose windows are predicted together."""

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

AFTER = {"ref_match": str, "status": str}
"""The last columns: yes, or no where REF differs from the genome; and one of REASONS, or MISMATCH."""

KINDS = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT minus REF"}
"""Columns for each target, such as ref_dev, alt_dev, delta_dev. Predictions are logarithms: delta is alt - ref."""

BASES = re.compile(r"[ACGTNacgtn]+")

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

AMBIGUITY = {letter: bases[0] for letter, bases in IUPAC.items() if 1 < len(bases) < len(ALPHABET)}
"""IUPAC letter of a genome -> REF in VCF: the first of its bases by the alphabet (VCF 4.3, section 1.6.1, REF)."""

NUMBERS = ("ref", "alt", "match", "reasons")
"""Arrays of a part, see Effects. A part also has `labels`: for every CHUNK variants, LISTS."""

LISTS = ("columns", "counts", "skipped", "read_as_n", "shifted")

MANY_MISMATCHES = 0.1
"""Share of variants with another REF from which on a chunk is compared with the genome one base further and before."""

SHIFTED_SHARE = 0.9
"""Share of these variants that have the REF of the genome there, for a hint that positions are off by one."""

MOST_NAMED = 1000
"""The description names at most this number of alleles for each reason why they are not scored."""


@dataclasses.dataclass(frozen=True)
class VariantsJob(GenomeJob):
    """Which variants of a genome to score; `output` is the table or VCF of the effects."""

    variants: Path = dataclasses.field(kw_only=True)
    options: VariantOptions = dataclasses.field(default_factory=VariantOptions)

    @property
    def ambiguous(self) -> Ambiguous:
        return self.options.ambiguous

    def open(self, genome: IndexedFasta, spec: ModelSpec) -> Scoring:
        return Scoring(self, genome, spec)

    def absolute(self) -> Self:
        figure = self.options.figure
        options = dataclasses.replace(self.options, figure=figure and figure.absolute())
        return dataclasses.replace(super().absolute(), variants=self.variants.absolute(), options=options)

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return *super().inputs, self.variants

    def outputs(self, spec: ModelSpec) -> list[Path]:
        self.options.check(spec.sequence_length)
        vcf.check(self.variants)
        output = self.output
        if output.suffix.lower() == ".bcf":
            raise ZooError(f"{output}: expected an output in VCF, such as {output.with_suffix('.vcf.gz')}, or a table")
        if not vcf.is_vcf_output(output):
            table_writer.check_name(output)
        else:
            if not vcf.is_vcf(self.variants):
                raise ZooError(f"{output}: a table of variants has no VCF header; give an output such as .tsv")
            for index in _indices(output):
                if index.is_dir():
                    check_target(index)
            _check_fields(output, spec.targets, self.options.prefix)
        if self.options.prefix != VariantOptions.prefix and not vcf.is_vcf_output(output):
            raise ZooError(f"--prefix: names the INFO fields of a VCF output, and {output} is a table")
        figure = self.options.figure
        return [description_path(output), *([figure] if figure else []), output]


@dataclasses.dataclass
class Effects:
    """A alleles of some variants.

    columns: LABELS of the alleles.  counts: alleles of each variant, or LEFT_OUT.
    match: uint8 (A,), whether REF is that of the genome.  reasons: uint8 (A,), indices of REASONS.
    lines: the record of each variant, for VCF.
    skipped: the variants that were left out.  read_as_n: letters of the genome in reference windows that are read as N.
    shifted: of variants with MANY_MISMATCHES, their number, and how many have the REF of the genome at POS, POS + 1 and
    POS - 1.
    ref, alt: float32 (A, T), NaN where an allele is not scored; empty before the prediction.
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

    @property
    def kept(self) -> list[int]:
        """Alleles of each variant that was not left out."""
        return [count for count in self.counts if count != LEFT_OUT]

    @property
    def kept_lines(self) -> list[str]:
        return [line for line, count in zip(self.lines, self.counts, strict=True) if count != LEFT_OUT]


LEFT_OUT = -1

Add = Callable[[Effects], None]
"""Takes the effects of the next variants."""


class Scoring(GenomeWork):
    """The variants of a VariantsJob, in parts. Parts that are done in order read the file once."""

    NAME = "variants"

    def __init__(self, job: VariantsJob, genome: IndexedFasta, spec: ModelSpec) -> None:
        super().__init__(genome, spec)
        self.job = job
        self._reading: Iterator[Variant | BadVariant] = iter(())
        self._read = -1
        self._source: vcf.Records | None = None

    @cached_property
    def _digest_and_count(self) -> tuple[str, int]:
        return vcf.digest_and_count(self.job.variants)

    @cached_property
    def sizes(self) -> list[int]:
        (_, count), size = self._digest_and_count, self.job.sharing.part_size
        if not count:
            records = vcf.Records(self.job.variants)
            next(iter(records), None)  # raises for a file that is not as expected
            found = none_among(len(records.header), "header")
            raise ZooError(f"{self.job.variants}: expected variants, {found}")
        return [min(size, count - first) for first in range(0, count, size)]

    def identity(self) -> dict[str, Any]:
        options = self.job.options
        return {
            "variants sha256": self._digest_and_count[0],
            "shifts": list(options.shifts),
            "skip_bad": options.skip_bad,
        }

    def check(self) -> None:
        """Read the header of a VCF that is to be annotated."""
        if vcf.is_vcf_output(self.job.output):
            self._source = vcf.Records(self.job.variants, keep_lines=True, skip_bad=True)
            self._source.check_new(self._info_fields())

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """See NUMBERS."""
        found: list[Effects] = []
        self._score(part, on_progress, found.append)
        arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in NUMBERS}
        packed = [shards.pack([getattr(one, name) for name in LISTS]) for one in found]
        return arrays | {"labels": np.concatenate(packed)}

    def _score(self, part: int, on_progress: Progress, add: Add) -> None:
        """Predict the variants of a part, in order."""

        def work(chunk: tuple[Effects, np.ndarray, np.ndarray]) -> tuple[Effects, np.ndarray, Future[np.ndarray]]:
            effects, windows, places = chunk
            submitted = self.model.submit_codes(windows)
            on_progress(len(effects.counts))
            return effects, places, submitted

        def finish(result: tuple[Effects, np.ndarray, Future[np.ndarray]]) -> None:
            effects, places, submitted = result
            predicted = submitted.result()
            if not np.isfinite(predicted).all():
                raise CheckFailed(f"{self.job.variants}: the model gave an output that is not finite")
            effects.ref, effects.alt = (self._means(predicted, first) for first in places)
            add(effects)

        pipeline.run(self._chunks(part), work, finish)

    def _means(self, predicted: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Predictions of windows, float32 (N, T), and the first window of each allele, intp (A,), or -1 -> (A, T)."""
        scored = first >= 0
        shifts = np.arange(len(self.job.options.shifts))
        values = np.full((len(first), predicted.shape[1]), np.nan, np.float32)
        values[scored] = predicted[first[scored, None] + shifts].mean(axis=1, dtype=np.float64)
        return values

    def _chunks(self, part: int) -> Iterator[tuple[Effects, np.ndarray, np.ndarray]]:
        size = self.job.sharing.part_size
        variants = itertools.islice(self._from(part * size), size)
        while chunk := list(itertools.islice(variants, CHUNK)):
            yield self._chunk(chunk)

    def _from(self, first: int) -> Iterator[Variant | BadVariant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = iter(vcf.Records(self.job.variants, skip_bad=True)), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant | BadVariant]) -> tuple[Effects, np.ndarray, np.ndarray]:
        """Effects without predictions; windows to predict, uint8 (N, L); and, intp (2, A), the first windows of each
        allele's reference and of its own, -1 where it is not scored."""
        found = _Chunk(self.genome, self.spec.sequence_length, self.job.options)
        for variant in variants:
            found.add(variant)
        return found.effects([variant.line for variant in variants])

    def in_memory(self, variants: Iterable[Variant | BadVariant]) -> tuple[list[Effects], Report]:
        """The effects of some variants, and their counts. Raises ZooError as `compute` and `write` do."""
        self._reading, self._read = iter(variants), 0
        report, found = Report(), list[Effects]()
        self._score(0, lambda _: None, lambda effects: found.append(report.add(effects)))
        report.check(self.job.variants, self.job.genome)
        return found, report

    def run(self, on_progress: Progress, files: Mapping[Path, Path]) -> dict[str, Any]:
        """Compute and write a run of one part: the effects are written while further ones are computed."""
        if self._source:
            self._reading, self._read = iter(self._source), 0
        return self._write(lambda add: self._score(0, on_progress, add), files)

    def write(self, parts: Iterator[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        lines = (variant.line for variant in self._source or ())

        def join(add: Add) -> None:
            for arrays in parts:
                done = 0
                for lists in shards.unpack(arrays["labels"]):
                    named = dict(zip(LISTS, lists, strict=True))
                    counts = named["counts"]
                    here = slice(done, done + sum(count for count in counts if count != LEFT_OUT))
                    numbers: dict[str, Any] = {name: arrays[name][here] for name in NUMBERS}
                    rest = list(itertools.islice(lines, len(counts))) if self._source else [""] * len(counts)
                    add(Effects(**named, **numbers, lines=rest))
                    done = here.stop

        return self._write(join, files)

    def _write(self, effects: Callable[[Add], None], files: Mapping[Path, Path]) -> dict[str, Any]:
        """Write the output. effects: calls its argument with the effects of all variants, in order.

        Raises ZooError if REF differs from the genome for every allele: it must be another genome.
        """
        job, source, file, index = self.job, self._source, files[self.job.output], None
        figure = job.options.figure
        plot = figures.EffectPlot(self.genome.contigs, self.spec.targets, self.spec.unit) if figure else None
        report = Report(plot)
        if source is None:
            with _table(job.output, self.spec.targets, file) as add:
                effects(lambda some: add(report.add(some)))
        else:
            fields, targets, prefix = self._info_fields(), self.spec.targets, job.options.prefix
            with vcf.Annotated(source, file, vcf.is_compressed_output(job.output), fields) as annotated:
                effects(
                    lambda some: annotated.write(some.kept_lines, _fields_of_records(report.add(some), targets, prefix))
                )
            index = annotated.index(max(self.genome.contigs.values()))
        if report.variants != sum(self.sizes):
            raise ZooError(
                f"{job.variants}: had {sum(self.sizes):,} variants when they were counted and {report.variants:,} when "
                "they were predicted; wait until it is written"
            )
        report.check(job.variants, job.genome)
        if plot is not None and figure is not None:
            plot.draw(files[figure])
        _put_index(job.output, index)
        return {
            "variants": {"file": str(job.variants), "sha256": self._digest_and_count[0]},
            **dataclasses.asdict(job.options),
            "figure": figure and str(figure),
            "counts": report.counts,
            "not_scored": {kind: names for kind, names in report.named.items() if kind not in NUMBERED},
            PARTLY: report.named.get(PARTLY, []),
            "skipped": report.skipped,
            "read_as_n": report.read_as_n,
            "shift": report.shift(),
            "index": index.suffix if index else None,
            "table": description.facts(file),
        }

    def _info_fields(self) -> Iterator[InfoField]:
        prefix = self.job.options.prefix
        yield InfoField(_flag(prefix), "0", "Flag", "The genome has other bases than REF; the record is not scored")
        yield InfoField(_status(prefix), "A", "String", f"{SCORED}, or why not; {PARTLY}: a window holds a part of it")
        for target in self.spec.targets:
            for kind, text in KINDS.items():
                described = f"{text}: {target}, model {self.spec.architecture}, weights {self.spec.weights_id[:12]}"
                yield InfoField(_field(prefix, kind, target), "1" if kind == "ref" else "A", "Float", described)


class _Chunk:
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
        genome, length, shifts = self._genome, self._length, self._options.shifts
        match = genome_has(genome, variant)
        if not is_missing(variant.ref):
            self._compared.append((variant, match))
            if not match and self._options.skip_bad:
                raise self._mismatch(variant)
        reasons = [reason_of(alt, variant.ref, length, shifts) for alt in variant.alts]
        scored = [match and reason in NUMBERED for reason in reasons]
        try:
            found = [
                windows_of(genome, variant, alt, length, shifts) if is_scored else []
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
            windows = windows_of(genome, variant, ref, self._length, self._options.shifts)
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
        """What Scoring._chunk returns."""
        codes = np.stack(self._windows) if self._windows else np.empty((0, self._length), np.uint8)
        table = np.array(self._rows, np.intp).reshape(-1, 4).T
        match, reasons = table[2:].astype(np.uint8)
        columns = [*map(list, zip(*self._labels, strict=True))] or [[]] * len(LABELS)
        lists = columns, self._counts, self._skipped, self._read_as_n, self._shifted()
        return Effects(*lists, match, reasons, lines), codes, table[:2]


def windows_of(
    genome: IndexedFasta, variant: Variant, alt: str | None, length: int, shifts: Sequence[int]
) -> list[np.ndarray]:
    """Windows of the genome for None, or of the haplotype with an allele of ACGTN: uint8 (length,) for each shift."""
    first = min(shifts)
    start, total = window_start(variant.position + first, length), length + max(shifts) - first
    if alt is None:
        codes = genome.window(variant.contig, start, total)
    else:
        before = genome.window(variant.contig, start, variant.position - start)
        allele = ascii_codes(alt.encode())
        after = max(0, total - len(before) - len(allele))
        behind = genome.window(variant.contig, variant.position + len(variant.ref), after)
        codes = np.concatenate([before, allele, behind])
    return [codes[shift - first : shift - first + length] for shift in shifts]


def reason_of(alt: str, ref: str, length: int, shifts: Sequence[int] = (0,)) -> str:
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
    longest = max(len(ref), len(alt))
    if longest > length:
        return "too_long"
    return SCORED if longest <= window_start(0, length) + min(shifts) + length else PARTLY


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
            self._plot.add(effects.columns, effects.alt - effects.ref)
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


def _statuses(effects: Effects) -> list[str]:
    """The status of each allele: one of REASONS, or MISMATCH."""
    refs = effects.columns[list(LABELS).index("ref")]
    return [
        REASONS[reason] if match or is_missing(ref) else MISMATCH
        for ref, match, reason in zip(refs, effects.match, effects.reasons, strict=True)
    ]


@contextlib.contextmanager
def _table(output: Path, targets: Sequence[str], file: Path) -> Iterator[Add]:
    """An open table of effects."""
    layout = Layout(number_columns(targets), LABELS, AFTER, missing=True)
    with file.open("wb") as content, table_writer.opened(output, Digested(content), layout) as table:

        def add(effects: Effects) -> None:
            if len(effects.match):
                table.write(*rows(effects))

        yield add


def number_columns(targets: Sequence[str]) -> list[str]:
    return [f"{kind}_{target}" for target in targets for kind in KINDS]


def rows(effects: Effects) -> tuple[list[list[Any]], np.ndarray, list[list[str]]]:
    """Columns of LABELS, numbers as in `number_columns`, float32 (A, 3T), and columns of AFTER."""
    values = np.stack([effects.ref, effects.alt, effects.alt - effects.ref], axis=2)
    matches = ["yes" if match else "no" for match in effects.match]
    return effects.columns, values.reshape(len(matches), -1), [matches, _statuses(effects)]


def _check_fields(output: Path, targets: Sequence[str], prefix: str) -> None:
    """Raise ZooError if two INFO fields would have the same name."""
    fields = {_flag(prefix): "the flag of a different REF"}
    for target in targets:
        field = _field(prefix, "ref", target)
        if field in fields:
            raise ZooError(
                f"{output}: {fields[field]} and the target {target!r} would both be the INFO field {field}; give an "
                "output such as .tsv"
            )
        fields[field] = f"the target {target!r}"


def _flag(prefix: str) -> str:
    return f"{prefix}_REF_MISMATCH"


def _status(prefix: str) -> str:
    return f"{prefix}_STATUS"


def _field(prefix: str, kind: str, target: str) -> str:
    return vcf.info_name(f"{prefix}_{kind.upper()}_{target}")


def _fields_of_records(effects: Effects, targets: Sequence[str], prefix: str) -> Iterator[str]:
    """INFO fields of each record: one value for the reference, the others for each allele, "." if it is not scored; and
    the status of the alleles, unless all are scored."""
    delta, statuses = effects.alt - effects.ref, _statuses(effects)
    done = 0
    for count in effects.kept:
        here = slice(done, done + count)
        done += count
        fields = [_flag(prefix)] if count and not effects.match[here.start] else []
        if set(statuses[here]) - {SCORED}:
            fields.append(f"{_status(prefix)}={','.join(statuses[here])}")
        scored = here.start + np.flatnonzero(~np.isnan(effects.alt[here, 0]))
        for column, target in enumerate(targets if len(scored) else ()):
            fields.append(f"{_field(prefix, 'ref', target)}={_number(effects.ref[scored[0], column])}")
            for kind, values in (("alt", effects.alt), ("delta", delta)):
                fields.append(f"{_field(prefix, kind, target)}={','.join(map(_number, values[here, column]))}")
        yield ";".join(fields)


def _number(value: np.float32) -> str:
    """The fewest digits that give the same float32 back; "." for NaN."""
    return MISSING if np.isnan(value) else np.format_float_positional(value, trim="-")


def _indices(output: Path) -> list[Path]:
    return [output.with_name(f"{output.name}{suffix}") for suffix in vcf.INDICES]


def _put_index(output: Path, index: Path | None) -> None:
    """Give the new index, made beside a temporary file, its name; remove an old one."""
    for target in _indices(output):
        if index is not None and index.suffix == target.suffix:
            with replacing(target, overwrite=True) as partial:
                index.replace(partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
