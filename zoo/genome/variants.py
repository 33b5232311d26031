"""Variants to effects: what the model predicts for each alternative allele, and for the genome without it, in parts.

With 0-based position p and shift 0, the reference window of 249 bases is [p - 124, p + 125). The window of an allele is
the same slice of the contig in which ALT replaces REF. Positions outside the contig are N. Positions are those of the
VCF: an indel is at the base before it.

Each allele has a row, in the order of the file. An allele that cannot be scored, or whose REF differs from the genome,
has a row without numbers; the description counts and names it. The effects are written as a table, or as the VCF itself
with further INFO fields and an index. Axes: A alleles, N windows, T targets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.dna.encoding import ascii_codes
from zoo.dna.read_options import Ambiguous
from zoo.dna.windows import window_start
from zoo.errors import CheckFailed, ZooError
from zoo.formats import table_writer, vcf
from zoo.formats.columns import is_missing
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.names import none_among
from zoo.formats.table_writer import Digested, Layout
from zoo.formats.vcf import MISSING, InfoField, Variant
from zoo.genome import figures, shards
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import description
from zoo.prediction.run import description_path
from zoo.spec import ModelSpec
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing

CHUNK = 2048
"""Variants whose windows are predicted together."""

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

MATCH = {"ref_match": str}
"""The last column: yes, or no where REF differs from the genome."""

KINDS = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT less REF"}
"""Columns for each target, such as ref_dev, alt_dev, delta_dev. Predictions are logarithms: delta is alt - ref."""

BASES = re.compile(r"[ACGTNacgtn]+")

SCORED = "scored"

REASONS = (SCORED, "symbolic", "overlapping_deletion", "breakend", "missing", "other_letters", "too_long")
"""Why an allele is not scored. symbolic: such as <DEL>. overlapping_deletion: * or <*>. breakend: such as G[chr2:7[.
missing: ALT or REF is a point, or a word such as NA. other_letters: letters other than ACGTN. too_long: longer than the
window. Arrays hold the index of the reason."""

MISMATCH = "ref_mismatch"

FLAG = "ZOO_REF_MISMATCH"

NUMBERS = ("ref", "alt", "match", "reasons")
"""Arrays of a part, see Effects. A part also has `labels`: for every CHUNK variants, `columns` and `counts`."""

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
            _check_fields(output, spec.targets)
        figure = self.options.figure
        return [description_path(output), *([figure] if figure else []), output]


@dataclasses.dataclass
class Effects:
    """A alleles of some variants.

    columns: LABELS of the alleles.  counts: alleles of each variant.  match: uint8 (A,), whether REF is that of the
    genome.  reasons: uint8 (A,), indices of REASONS.  lines: the record of each variant, for VCF.
    ref, alt: float32 (A, T), NaN where an allele is not scored; empty before the prediction.
    """

    columns: list[list[Any]]
    counts: list[int]
    match: np.ndarray
    reasons: np.ndarray
    lines: list[str]
    ref: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))
    alt: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))


Add = Callable[[Effects], None]
"""Takes the effects of the next variants."""


class Scoring(GenomeWork):
    """The variants of a VariantsJob, in parts. Parts that are done in order read the file once."""

    NAME = "variants"

    def __init__(self, job: VariantsJob, genome: IndexedFasta, spec: ModelSpec) -> None:
        super().__init__(genome, spec)
        self.job = job
        self._reading: Iterator[Variant] = iter(())
        self._read = -1

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
        return {"variants sha256": self._digest_and_count[0], "shifts": list(self.job.options.shifts)}

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """See NUMBERS."""
        found: list[Effects] = []
        self._score(part, on_progress, found.append)
        arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in NUMBERS}
        return arrays | {"labels": np.concatenate([shards.pack([one.columns, one.counts]) for one in found])}

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

    def _from(self, first: int) -> Iterator[Variant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = iter(vcf.Records(self.job.variants)), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant]) -> tuple[Effects, np.ndarray, np.ndarray]:
        """Effects without predictions; windows to predict, uint8 (N, L); and, intp (2, A), the first windows of each
        allele's reference and of its own, -1 where it is not scored."""
        length, shifts = self.spec.sequence_length, self.job.options.shifts
        windows: list[np.ndarray] = []
        rows: list[tuple[int, int, bool, int]] = []
        labels = []
        references: dict[tuple[str, int], int] = {}
        for variant in variants:
            if variant.contig not in self.genome.contigs:
                raise ZooError(f"{self.job.variants}: {self.genome.unknown_contig(variant.contig)}")
            match = genome_has(self.genome, variant)
            for alt in variant.alts:
                reason = reason_of(alt, variant.ref, length)
                ref_at = alt_at = -1
                if match and reason == SCORED:
                    place = variant.contig, variant.position
                    if place not in references:
                        references[place] = len(windows)
                        windows += windows_of(self.genome, variant, None, length, shifts)
                    ref_at, alt_at = references[place], len(windows)
                    windows += windows_of(self.genome, variant, alt, length, shifts)
                rows.append((ref_at, alt_at, match, REASONS.index(reason)))
                labels.append((variant.contig, variant.position + 1, variant.name, variant.ref, alt))
        codes = np.stack(windows) if windows else np.empty((0, length), np.uint8)
        table = np.array(rows, np.intp).reshape(-1, 4).T
        match, reasons = table[2:].astype(np.uint8)
        columns = [*map(list, zip(*labels, strict=True))] or [[]] * len(LABELS)
        counts, lines = [len(variant.alts) for variant in variants], [variant.line for variant in variants]
        return Effects(columns, counts, match, reasons, lines), codes, table[:2]

    def run(self, on_progress: Progress, files: Mapping[Path, Path]) -> dict[str, Any]:
        """Compute and write a run of one part: the effects are written while further ones are computed."""
        source = self._lines_of_vcf()
        if source:
            self._reading, self._read = iter(source), 0
        return self._write(source, lambda add: self._score(0, on_progress, add), files)

    def write(self, parts: Iterator[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        source = self._lines_of_vcf()
        lines = (variant.line for variant in source or ())

        def join(add: Add) -> None:
            for arrays in parts:
                done = 0
                for columns, counts in shards.unpack(arrays["labels"]):
                    here = slice(done, done + sum(counts))
                    numbers = {name: arrays[name][here] for name in NUMBERS}
                    add(Effects(columns, counts, lines=list(itertools.islice(lines, len(counts))), **numbers))
                    done = here.stop

        return self._write(source, join, files)

    def _lines_of_vcf(self) -> vcf.Records | None:
        """The records for a VCF output; None for a table."""
        return vcf.Records(self.job.variants, keep_lines=True) if vcf.is_vcf_output(self.job.output) else None

    def _write(
        self, source: vcf.Records | None, effects: Callable[[Add], None], files: Mapping[Path, Path]
    ) -> dict[str, Any]:
        """Write the output. effects: calls its argument with the effects of all variants, in order.

        Raises ZooError if REF differs from the genome for every allele: it must be another genome.
        """
        job, file, index = self.job, files[self.job.output], None
        figure = job.options.figure
        plot = figures.EffectPlot(self.genome.contigs, self.spec.targets) if figure else None
        report = _Report(plot)
        if source is None:
            with _table(job.output, self.spec.targets, file) as add:
                effects(lambda some: add(report.add(some)))
        else:
            fields, targets = self._info_fields(), self.spec.targets
            with vcf.Annotated(source, file, vcf.is_compressed_output(job.output), fields) as annotated:
                effects(lambda some: annotated.write(some.lines, _fields_of_records(report.add(some), targets)))
            index = annotated.index(max(self.genome.contigs.values()))
        if report.variants != sum(self.sizes):
            raise ZooError(
                f"{job.variants}: had {sum(self.sizes):,} variants when they were counted and {report.variants:,} when "
                "they were predicted; wait until it is written"
            )
        if report.counts[MISMATCH] and report.counts[MISMATCH] == report.counts["records"]:
            raise ZooError(
                f"{job.variants}: none of its {report.counts['records']:,} alleles has the REF of the genome "
                f"{job.genome}; is it another assembly?"
            )
        if plot is not None and figure is not None:
            plot.draw(files[figure])
        _put_index(job.output, index)
        return {
            "variants": {"file": str(job.variants), "sha256": self._digest_and_count[0]},
            **dataclasses.asdict(job.options),
            "figure": figure and str(figure),
            "counts": report.counts,
            "not_scored": report.named,
            "index": index.suffix if index else None,
            "table": description.facts(file),
        }

    def _info_fields(self) -> Iterator[InfoField]:
        yield InfoField(FLAG, "0", "Flag", "The genome has other bases than REF; the record is not scored")
        for target in self.spec.targets:
            for kind, text in KINDS.items():
                described = f"{text}: {target}, model {self.spec.architecture}, weights {self.spec.weights_id[:12]}"
                yield InfoField(_field(kind, target), "1" if kind == "ref" else "A", "Float", described)


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


def reason_of(alt: str, ref: str, length: int) -> str:
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
    return "too_long" if max(len(ref), len(alt)) > length else SCORED


def genome_has(genome: IndexedFasta, variant: Variant) -> bool:
    """Whether the genome has REF at the position of a variant, in either case."""
    if not 0 <= variant.position <= genome.contigs[variant.contig] - len(variant.ref):
        return False
    try:
        ref = ascii_codes(variant.ref.encode("ascii"))
    except UnicodeEncodeError:
        return False
    return bool((genome.codes(variant.contig, variant.position, variant.position + len(ref)) == ref).all())


class _Report:
    """Counts of alleles, the names of those without numbers by the reason, and the effects for a figure."""

    def __init__(self, plot: figures.EffectPlot | None) -> None:
        self._plot = plot
        self.counts = dict.fromkeys(("records", MISMATCH, *REASONS[1:], "variants_without_alleles"), 0)
        self.named: dict[str, list[str]] = {}
        self.variants = 0

    def add(self, effects: Effects) -> Effects:
        self.variants += len(effects.counts)
        self.counts["records"] += len(effects.match)
        self.counts["variants_without_alleles"] += effects.counts.count(0)
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


@contextlib.contextmanager
def _table(output: Path, targets: Sequence[str], file: Path) -> Iterator[Add]:
    """An open table of effects."""
    numbers = [f"{kind}_{target}" for target in targets for kind in KINDS]
    layout = Layout(numbers, LABELS, MATCH, missing=True)
    with file.open("wb") as content, table_writer.opened(output, Digested(content), layout) as table:

        def add(effects: Effects) -> None:
            if len(effects.match):
                values = np.stack([effects.ref, effects.alt, effects.alt - effects.ref], axis=2)
                matches = ["yes" if match else "no" for match in effects.match]
                table.write(effects.columns, values.reshape(len(matches), len(numbers)), [matches])

        yield add


def _check_fields(output: Path, targets: Sequence[str]) -> None:
    """Raise ZooError if two INFO fields would have the same name."""
    fields = {FLAG: "the flag of a different REF"}
    for target in targets:
        field = _field("ref", target)
        if field in fields:
            raise ZooError(
                f"{output}: {fields[field]} and the target {target!r} would both be the INFO field {field}; give an "
                "output such as .tsv"
            )
        fields[field] = f"the target {target!r}"


def _field(kind: str, target: str) -> str:
    return vcf.info_name(f"ZOO_{kind.upper()}_{target}")


def _fields_of_records(effects: Effects, targets: Sequence[str]) -> Iterator[str]:
    """INFO fields of each record: one value for the reference, the others for each allele, "." if it is not scored."""
    delta = effects.alt - effects.ref
    done = 0
    for count in effects.counts:
        here = slice(done, done + count)
        done += count
        fields = [FLAG] if count and not effects.match[here.start] else []
        scored = here.start + np.flatnonzero(~np.isnan(effects.alt[here, 0]))
        for column, target in enumerate(targets if len(scored) else ()):
            fields.append(f"{_field('ref', target)}={_number(effects.ref[scored[0], column])}")
            for kind, values in (("alt", effects.alt), ("delta", delta)):
                fields.append(f"{_field(kind, target)}={','.join(map(_number, values[here, column]))}")
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
