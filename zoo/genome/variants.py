"""Variants to effects: what the model predicts for each alternative allele, and for the genome without it, in parts.

Each allele has a row, in the order of the file. An allele that cannot be scored, or whose REF differs from the genome,
has a row without numbers; the description counts and names it. The effects are written as a table, or as the VCF itself
with further INFO fields and an index.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats import table_writer, vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.table_writer import Digested, Layout
from zoo.formats.vcf import InfoField, Variant
from zoo.genome import haplotypes, shards
from zoo.genome.haplotypes import REASONS, SCORED, Placements
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import description_path
from zoo.spec import ModelSpec
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing
from zoo.system.files import file_sha256

CHUNK = 2048
"""Variants whose windows are predicted together."""

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

MATCH = {"ref_match": str}
"""The last column: yes, or no where REF differs from the genome."""

KINDS = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT less REF"}
"""Columns for each target, such as ref_dev, alt_dev, delta_dev. Predictions are logarithms: delta is alt - ref."""

MISMATCH = "ref_mismatch"

FLAG = "ZOO_REF_MISMATCH"

NUMBERS = ("ref", "alt", "match", "reasons")
"""Arrays of a part: float32 (A, T), twice, NaN where an allele is not scored; uint8 (A,), twice, the second an index of
REASONS. A part also has `labels`: for every CHUNK variants, the columns LABELS of their alleles, and the number of
alleles of each variant."""

MOST_NAMED = 1000
"""The description names at most this number of alleles for each reason why they are not scored."""


@dataclasses.dataclass(frozen=True)
class VariantsJob(GenomeJob):
    """Which variants of a genome to score; `output` is the table or VCF of the effects."""

    variants: Path = dataclasses.field(kw_only=True)
    options: VariantOptions = dataclasses.field(default_factory=VariantOptions)

    def open(self, genome: IndexedFasta, spec: ModelSpec, model: Model | None = None) -> Scoring:
        return Scoring(self, genome, spec, model)

    def absolute(self) -> Self:
        return dataclasses.replace(super().absolute(), variants=self.variants.absolute())

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
        return [description_path(output), output]


@dataclasses.dataclass
class _Chunk:
    """Windows of some variants. windows: uint8 (N, L).  ref_at, alt_at: the first window of each allele's reference and
    of its own, intp (A,), the latter -1 where it is not scored.  match, reasons, labels: see NUMBERS."""

    variants: int
    windows: np.ndarray
    ref_at: np.ndarray
    alt_at: np.ndarray
    match: np.ndarray
    reasons: np.ndarray
    labels: np.ndarray


class Scoring(GenomeWork):
    """The variants of a VariantsJob, in parts. Parts that are done in order read the file once."""

    NAME = "variants"

    def __init__(self, job: VariantsJob, genome: IndexedFasta, spec: ModelSpec, model: Model | None) -> None:
        super().__init__(genome, spec, model)
        self.job = job
        self._placements = Placements(spec.sequence_length, job.options.shifts)
        self._reading: Iterator[Variant] = iter(())
        self._read = -1

    @cached_property
    def sizes(self) -> list[int]:
        count, size = vcf.count(self.job.variants), self.job.sharing.part_size
        if not count:
            raise ZooError(f"{self.job.variants}: expected variants, found none")
        return [min(size, count - first) for first in range(0, count, size)]

    @cached_property
    def sha256(self) -> str:
        return file_sha256(self.job.variants)

    def identity(self) -> dict[str, Any]:
        return {"variants sha256": self.sha256, "shifts": list(self.job.options.shifts)}

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """See NUMBERS."""
        found: list[Arrays] = []

        def work(chunk: _Chunk) -> tuple[_Chunk, Future[np.ndarray]]:
            submitted = self.model.submit_codes(chunk.windows)
            on_progress(chunk.variants)
            return chunk, submitted

        def keep(result: tuple[_Chunk, Future[np.ndarray]]) -> None:
            found.append(self._effects(result[0], result[1].result()))

        pipeline.run(self._chunks(part), work, keep)
        return {name: np.concatenate([one[name] for one in found]) for name in (*NUMBERS, "labels")}

    def _effects(self, chunk: _Chunk, predicted: np.ndarray) -> Arrays:
        """Predictions of a chunk's windows, float32 (N, T), to those of its alleles."""
        if not np.isfinite(predicted).all():
            raise CheckFailed(f"{self.job.variants}: the model gave an output that is not finite")
        scored = chunk.alt_at >= 0
        arrays: Arrays = {"match": chunk.match, "reasons": chunk.reasons, "labels": chunk.labels}
        for name, places in (("ref", chunk.ref_at), ("alt", chunk.alt_at)):
            values = np.full((len(places), predicted.shape[1]), np.nan, np.float32)
            shifts = np.arange(len(self._placements.shifts))
            values[scored] = predicted[places[scored, None] + shifts].mean(axis=1, dtype=np.float64)
            arrays[name] = values
        return arrays

    def _chunks(self, part: int) -> Iterator[_Chunk]:
        size = self.job.sharing.part_size
        variants = itertools.islice(self._from(part * size), size)
        while chunk := list(itertools.islice(variants, CHUNK)):
            yield self._chunk(chunk)

    def _from(self, first: int) -> Iterator[Variant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = vcf.read(self.job.variants), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant]) -> _Chunk:
        windows: list[np.ndarray] = []
        rows: list[tuple[int, int, bool, int]] = []
        labels = []
        references: dict[tuple[str, int], int] = {}
        for variant in variants:
            if variant.contig not in self.genome.contigs:
                raise ZooError(f"{self.job.variants}: {self.genome.unknown_contig(variant.contig)}")
            match = haplotypes.genome_has(self.genome, variant)
            for alt in variant.alts:
                reason = haplotypes.reason(alt, variant.ref, self._placements.length)
                ref_at = alt_at = -1
                if match and reason == SCORED:
                    place = variant.contig, variant.position
                    if place not in references:
                        references[place] = len(windows)
                        windows += self._placements.windows(self.genome, variant)
                    ref_at, alt_at = references[place], len(windows)
                    windows += self._placements.windows(self.genome, variant, alt)
                rows.append((ref_at, alt_at, match, REASONS.index(reason)))
                labels.append((variant.contig, variant.position + 1, variant.name, variant.ref, alt))
        codes = np.stack(windows) if windows else np.empty((0, self._placements.length), np.uint8)
        table = np.array(rows, np.intp).reshape(-1, 4)
        alleles = [len(variant.alts) for variant in variants]
        columns = [*map(list, zip(*labels, strict=True))] or [[]] * len(LABELS)
        found = table[:, 2:].astype(np.uint8)
        packed = shards.pack([columns, alleles])
        return _Chunk(len(variants), codes, table[:, 0], table[:, 1], found[:, 0], found[:, 1], packed)

    def write(self, parts: Iterator[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        """Raises ZooError if REF differs from the genome for every allele: it must be another genome."""
        job, report = self.job, _Report()
        chunks = (report.add(chunk) for arrays in parts for chunk in _chunks_of(arrays))
        index = None
        if vcf.is_vcf_output(job.output):
            index = self._write_vcf(chunks, files[job.output])
        else:
            _write_table(job.output, self.spec.targets, chunks, files[job.output])
        if report.counts[MISMATCH] and report.counts[MISMATCH] == report.counts["records"]:
            raise ZooError(
                f"{job.variants}: none of its {report.counts['records']:,} alleles has the REF of the genome "
                f"{job.genome}; is it another assembly?"
            )
        _put_index(job.output, index)
        return {
            "variants": {"file": str(job.variants), "sha256": self.sha256},
            **dataclasses.asdict(job.options),
            "counts": report.counts,
            "not_scored": report.named,
            "index": index.suffix if index else None,
            "table": description.facts(files[job.output]),
        }

    def _write_vcf(self, chunks: Iterator[_Effects], file: Path) -> Path | None:
        """Returns the index, if there is one."""
        fields = [InfoField(FLAG, "0", "Flag", "The genome has other bases than REF; the record is not scored")]
        for target in self.spec.targets:
            for kind, text in KINDS.items():
                described = f"{text}: {target}, model {self.spec.architecture}, weights {self.spec.weights_id[:12]}"
                fields.append(InfoField(_field(kind, target), "1" if kind == "ref" else "A", "Float", described))
        values = (text for chunk in chunks for text in _fields_of_records(chunk, self.spec.targets))
        longest = max(self.genome.contigs.values())
        return vcf.annotate(self.job.variants, file, vcf.is_compressed_output(self.job.output), fields, values, longest)


@dataclasses.dataclass(frozen=True)
class _Effects:
    """Effects of some alleles. columns: LABELS.  counts: alleles of each variant.  The others: see NUMBERS."""

    columns: list[list[Any]]
    counts: list[int]
    ref: np.ndarray
    alt: np.ndarray
    match: np.ndarray
    reasons: np.ndarray


def _chunks_of(arrays: Arrays) -> Iterator[_Effects]:
    done = 0
    for columns, counts in shards.unpack(arrays["labels"]):
        here = slice(done, done + sum(counts))
        yield _Effects(columns, counts, *(arrays[name][here] for name in NUMBERS))
        done = here.stop


class _Report:
    """Counts of alleles, and the names of those without numbers by the reason."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("records", MISMATCH, *REASONS[1:], "variants_without_alleles"), 0)
        self.named: dict[str, list[str]] = {}

    def add(self, effects: _Effects) -> _Effects:
        self.counts["records"] += len(effects.match)
        self.counts["variants_without_alleles"] += effects.counts.count(0)
        for row in np.flatnonzero((effects.match == 0) | (effects.reasons > 0)):
            contig, position, name, ref, alt = (column[row] for column in effects.columns)
            reason = REASONS[effects.reasons[row]]
            for kind in (*([] if effects.match[row] else [MISMATCH]), *([] if reason == SCORED else [reason])):
                self.counts[kind] += 1
                names = self.named.setdefault(kind, [])
                if len(names) < MOST_NAMED:
                    names.append(Variant(contig, position - 1, name, ref, ()).shown(alt))
        return effects


def _write_table(output: Path, targets: Sequence[str], chunks: Iterator[_Effects], file: Path) -> None:
    numbers = [f"{kind}_{target}" for target in targets for kind in KINDS]
    layout = Layout(numbers, LABELS, MATCH, missing=True)
    with file.open("wb") as content, table_writer.opened(output, Digested(content), layout) as table:
        for chunk in chunks:
            if len(chunk.match):
                values = np.stack([chunk.ref, chunk.alt, chunk.alt - chunk.ref], axis=2)
                matches = ["yes" if match else "no" for match in chunk.match]
                table.write(chunk.columns, values.reshape(len(matches), len(numbers)), [matches])


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


def _fields_of_records(effects: _Effects, targets: Sequence[str]) -> Iterator[str]:
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
    return vcf.MISSING if np.isnan(value) else np.format_float_positional(value, trim="-")


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
