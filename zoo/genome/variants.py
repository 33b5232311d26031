"""Variants to effects: what the model says of each alternative allele, and of the genome without it, in parts.

One row an allele, in the order of the file. An allele that cannot be scored, and one whose REF the genome does not
have, has a row without numbers, and is counted and named. The effects are written as a table, or as the VCF itself with
further INFO fields and an index.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats import table_writer, vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.table_writer import Column, Digested, Layout
from zoo.formats.vcf import InfoField, Variant
from zoo.genome import haplotypes
from zoo.genome.haplotypes import REASONS, SCORED, Placements
from zoo.genome.job import GenomeJob, Outputs, Plan
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Parts, Progress
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import description_path
from zoo.spec import ModelSpec
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing, replacing_together
from zoo.system.files import file_sha256

CHUNK = 2048
"""Variants whose windows are predicted together."""

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

MATCH = {"ref_match": str}
"""The last column: yes, or no where the genome has other bases than REF."""

KINDS = ("ref", "alt", "delta")
"""Columns a target: ref_dev, alt_dev, delta_dev. What the model predicts are logarithms: delta is alt - ref."""

MISMATCH = "ref_mismatch"

FLAG = "ZOO_REF_MISMATCH"

RECORDS = 8192
"""That are written together."""

MOST_NAMED = 1000
"""Alleles of a kind that are not scored which the description names; the others are counted."""


@dataclasses.dataclass(frozen=True)
class VariantsJob(GenomeJob):
    """Which variants of a genome to score; `output` is the table or VCF of the effects."""

    variants: Path = dataclasses.field(kw_only=True)
    options: VariantOptions = dataclasses.field(default_factory=VariantOptions)

    def start(self, threads: int | None = None) -> Scoring:
        model = self.loading.load(threads)
        return Scoring(IndexedFasta(self.genome), model, self)

    def absolute(self) -> Self:
        return dataclasses.replace(super().absolute(), variants=self.variants.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return *super().inputs, self.variants

    def check_options(self, spec: ModelSpec) -> None:
        self.options.check(spec.sequence_length)
        vcf.check(self.variants)

    def outputs(self, spec: ModelSpec) -> list[Path]:
        return _outputs(self.output, self.variants, spec.targets)

    def plan(self, spec: ModelSpec, genome: IndexedFasta) -> Plan:
        own = {"variants sha256": file_sha256(self.variants), "shifts": list(self.options.shifts)}
        identity = self.identity("variants", spec, genome, own)
        count, size = vcf.count(self.variants), self.sharing.part_size
        if not count:
            raise ZooError(f"{self.variants}: expected variants, found none in it")
        sizes = [min(size, count - first) for first in range(0, count, size)]
        longest = max(genome.contigs.values())
        return Plan(identity, sizes, lambda parts, outputs: _join(self, spec, parts, outputs, longest))


@dataclasses.dataclass
class _Chunk:
    """Windows of some variants. windows: uint8 (N, L).  ref_at, alt_at: the first window of each allele's reference and
    of its own, intp (A,), the latter -1 where it is not scored."""

    variants: int
    windows: np.ndarray
    ref_at: np.ndarray
    alt_at: np.ndarray
    match: np.ndarray
    reasons: np.ndarray


class Scoring:
    """The variants of a VariantsJob, in parts: a Work of shards.py. Parts that are done in order read the file once."""

    def __init__(self, genome: IndexedFasta, model: Model, job: VariantsJob) -> None:
        self.runtime = model.runtime
        self._model = model
        self._genome = genome
        self._job = job
        self._placements = Placements(model.spec.sequence_length, job.options.shifts)
        self._reading: Iterator[Variant] = iter(())
        self._read = -1

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """ref, alt: float32 (A, T), NaN where not scored.  match, reasons: uint8 (A,), the latter places in REASONS."""
        found: list[Arrays] = []

        def work(chunk: _Chunk) -> tuple[_Chunk, Future[np.ndarray]]:
            submitted = self._model.submit_codes(chunk.windows)
            on_progress(chunk.variants)
            return chunk, submitted

        def keep(result: tuple[_Chunk, Future[np.ndarray]]) -> None:
            found.append(self._effects(result[0], result[1].result()))

        pipeline.run(self._chunks(part), work, keep)
        names = ("ref", "alt", "match", "reasons")
        return {name: np.concatenate([one[name] for one in found]) for name in names}

    def _effects(self, chunk: _Chunk, predicted: np.ndarray) -> Arrays:
        """Predictions of a chunk's windows, float32 (N, T), to those of its alleles."""
        if not np.isfinite(predicted).all():
            raise CheckFailed(f"{self._job.variants}: an output of the model came out as no finite number")
        scored = chunk.alt_at >= 0
        arrays: Arrays = {"match": chunk.match, "reasons": chunk.reasons}
        for name, places in (("ref", chunk.ref_at), ("alt", chunk.alt_at)):
            values = np.full((len(places), predicted.shape[1]), np.nan, np.float32)
            shifts = np.arange(len(self._placements.shifts))
            values[scored] = predicted[places[scored, None] + shifts].mean(axis=1, dtype=np.float64)
            arrays[name] = values
        return arrays

    def _chunks(self, part: int) -> Iterator[_Chunk]:
        size = self._job.sharing.part_size
        variants = itertools.islice(self._from(part * size), size)
        while several := list(itertools.islice(variants, CHUNK)):
            yield self._chunk(several)

    def _from(self, first: int) -> Iterator[Variant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = vcf.read(self._job.variants), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant]) -> _Chunk:
        windows: list[np.ndarray] = []
        rows: list[tuple[int, int, bool, int]] = []
        references: dict[tuple[str, int], int] = {}
        for variant in variants:
            if variant.contig not in self._genome.contigs:
                raise ZooError(f"{self._job.variants}: {self._genome.unknown_contig(variant.contig)}")
            match = haplotypes.genome_has(self._genome, variant)
            for alt in variant.alts:
                reason = haplotypes.reason(alt, variant.ref, self._placements.length)
                ref_at = alt_at = -1
                if match and reason == haplotypes.SCORED:
                    place = variant.contig, variant.position
                    if place not in references:
                        references[place] = len(windows)
                        windows += self._placements.reference(self._genome, variant)
                    ref_at, alt_at = references[place], len(windows)
                    windows += self._placements.alternative(self._genome, variant, alt)
                rows.append((ref_at, alt_at, match, REASONS.index(reason)))
        length = self._placements.length
        codes = np.stack(windows) if windows else np.empty((0, length), np.uint8)
        table = np.array(rows, np.intp).reshape(-1, 4)
        return _Chunk(
            len(variants), codes, table[:, 0], table[:, 1], table[:, 2].astype(np.uint8), table[:, 3].astype(np.uint8)
        )


def _outputs(output: Path, variants: Path, targets: Sequence[str]) -> list[Path]:
    """The description, and the table or VCF. Raises ZooError for a name whose suffix is neither's, and for targets that
    VCF cannot tell apart."""
    if output.suffix.lower() == ".bcf":
        raise ZooError(f"{output}: expected an output in VCF, such as {output.with_suffix('.vcf.gz')}, or a table")
    if vcf.is_vcf_output(output):
        if not vcf.is_vcf(variants):
            raise ZooError(f"{output}: a table of variants has no header for VCF; give an output such as .tsv")
        for index in _indices(output):
            if index.is_dir():
                check_target(index)
        _check_fields(output, targets)
    else:
        table_writer.check_name(output)
    return [description_path(output), output]


def _join(job: VariantsJob, spec: ModelSpec, parts: Parts, outputs: Outputs, longest: int) -> dict[str, Any]:
    """Write the effects and their description, all or none. Returns the description.

    longest: bases of the longest contig.
    Raises ZooError if the genome has the REF of no allele: it is another one.
    """
    report = _Report()
    for part in range(parts.count):
        report.count(parts.read(part))
    if report.alleles and report.mismatches == report.alleles:
        raise ZooError(
            f"{job.variants}: the genome {job.genome} has the REF of none of its {report.alleles:,} alleles; is it "
            "another assembly?"
        )
    with replacing_together(outputs, job.inputs) as (beside, effects):
        if vcf.is_vcf_output(job.output):
            index = _write_vcf(job, spec, parts, report, effects, longest)
        else:
            index = None
            _write_table(job, spec, parts, report, effects)
        described = {
            **job.described(spec, parts),
            "variants": {"file": str(job.variants), "sha256": parts.identity["variants sha256"]},
            "rc": job.loading.rc,
            **dataclasses.asdict(job.options),
            "sequence_length": spec.sequence_length,
            "targets": list(spec.targets),
            "counts": report.counts(),
            "not_scored": report.named,
            "index": index.suffix if index else None,
            "table": description.facts(effects),
        }
        beside.write_text(json.dumps(described, indent=2) + "\n")
        _put_index(job.output, index)
    return described


class _Report:
    """What came of the alleles."""

    def __init__(self) -> None:
        self.alleles = self.mismatches = 0
        self.without_alleles = 0
        self.not_scored = dict.fromkeys(REASONS[1:], 0)
        self.named: dict[str, list[str]] = {}

    def count(self, arrays: Arrays) -> None:
        self.alleles += len(arrays["match"])
        self.mismatches += int((arrays["match"] == 0).sum())
        for number, reason in enumerate(REASONS[1:], 1):
            self.not_scored[reason] += int((arrays["reasons"] == number).sum())

    def name(self, alleles: _Effects) -> None:
        """Note what has no numbers, and why."""
        for place in np.flatnonzero((alleles.match == 0) | (alleles.reasons > 0)):
            variant, alt = alleles.variants[place], alleles.alts[place]
            reason = REASONS[alleles.reasons[place]]
            kinds = [*([] if alleles.match[place] else [MISMATCH]), *([] if reason == SCORED else [reason])]
            for kind in kinds:
                names = self.named.setdefault(kind, [])
                if len(names) < MOST_NAMED:
                    names.append(variant.shown(alt))

    def counts(self) -> dict[str, int]:
        counts = {"records": self.alleles, MISMATCH: self.mismatches, **self.not_scored}
        return counts | {"variants_without_alleles": self.without_alleles}


@dataclasses.dataclass(frozen=True)
class _Effects:
    """Some alleles in order, each with its variant, and their effects.

    counts: of the alleles of each record.  ref, alt: float32 (A, T), NaN where not scored.  match, reasons: uint8 (A,).
    """

    counts: list[int]
    variants: list[Variant]
    alts: list[str]
    ref: np.ndarray
    alt: np.ndarray
    match: np.ndarray
    reasons: np.ndarray


def _alleles(job: VariantsJob, parts: Parts, report: _Report) -> Iterator[_Effects]:
    """Those of some records at a time. Raises ZooError if the parts are not those of the variants."""
    variants = vcf.read(job.variants)
    for part in range(parts.count):
        arrays = parts.read(part)
        done = 0
        rest = itertools.islice(variants, job.sharing.part_size)
        while records := list(itertools.islice(rest, RECORDS)):
            counts = [len(record.alts) for record in records]
            stop = done + sum(counts)
            chosen = {name: arrays[name][done:stop] for name in ("ref", "alt", "match", "reasons")}
            if len(chosen["match"]) < stop - done:
                raise ZooError(f"{parts.path(part)}: is damaged, remove it (too few alleles)")
            each = [record for record in records for _ in record.alts]
            alleles = _Effects(counts, each, [alt for record in records for alt in record.alts], **chosen)
            report.without_alleles += counts.count(0)
            report.name(alleles)
            yield alleles
            done = stop
        if done != len(arrays["match"]):
            raise ZooError(f"{parts.path(part)}: is damaged, remove it (too many alleles)")


def _write_table(job: VariantsJob, spec: ModelSpec, parts: Parts, report: _Report, effects: Path) -> None:
    numbers = [f"{kind}_{target}" for target in spec.targets for kind in KINDS]
    layout = Layout(numbers, LABELS, MATCH, missing=True)
    with effects.open("wb") as file, table_writer.opened(job.output, Digested(file), layout) as table:
        for alleles in _alleles(job, parts, report):
            if not alleles.alts:
                continue
            columns = ([one.contig for one in alleles.variants], [one.position + 1 for one in alleles.variants])
            names, refs = ([getattr(one, field) for one in alleles.variants] for field in ("name", "ref"))
            values = np.stack([alleles.ref, alleles.alt, alleles.alt - alleles.ref], axis=2)
            matches = ["yes" if match else "no" for match in alleles.match]
            labels: list[Column] = [*columns, names, refs, alleles.alts]
            table.write(labels, values.reshape(len(matches), len(numbers)), [matches])


def _write_vcf(
    job: VariantsJob, spec: ModelSpec, parts: Parts, report: _Report, effects: Path, longest: int
) -> Path | None:
    headers = [InfoField(FLAG, "0", "Flag", "The genome has other bases than REF; the record is not scored")]
    texts = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT less REF"}
    for target in spec.targets:
        for kind in KINDS:
            number = "1" if kind == "ref" else "A"
            text = f"{texts[kind]}: {target}, model {spec.architecture}, weights {spec.weights_id[:12]}"
            headers.append(InfoField(_field(kind, target), number, "Float", text))
    fields = (text for alleles in _alleles(job, parts, report) for text in _fields_of_records(alleles, spec.targets))
    compress = vcf.is_compressed_output(job.output)
    return vcf.annotate(job.variants, effects, compress, headers, fields, longest)


def _check_fields(output: Path, targets: Sequence[str]) -> None:
    """Raise ZooError unless every INFO field would have a name of its own."""
    fields = {FLAG: "the flag for another REF"}
    for target in targets:
        field = _field(KINDS[0], target)
        if field in fields:
            raise ZooError(
                f"{output}: {fields[field]} and the target {target!r} would both be the INFO field {field}; give an "
                "output such as .tsv"
            )
        fields[field] = f"the target {target!r}"


def _field(kind: str, target: str) -> str:
    return vcf.info_name(f"ZOO_{kind.upper()}_{target}")


def _fields_of_records(alleles: _Effects, targets: Sequence[str]) -> Iterator[str]:
    """INFO fields of each record: those of the reference once, the others an allele, "." where it is not scored."""
    delta = alleles.alt - alleles.ref
    done = 0
    for count in alleles.counts:
        here = slice(done, done + count)
        done += count
        fields = [FLAG] if count and not alleles.match[here.start] else []
        scored = here.start + np.flatnonzero(~np.isnan(alleles.alt[here, 0]))
        for column, target in enumerate(targets if len(scored) else ()):
            fields.append(f"{_field('ref', target)}={_number(alleles.ref[scored[0], column])}")
            for kind, values in (("alt", alleles.alt), ("delta", delta)):
                fields.append(f"{_field(kind, target)}={','.join(map(_number, values[here, column]))}")
        yield ";".join(fields)


def _number(value: np.float32) -> str:
    """A float32 in digits that give it back, "." for NaN."""
    return vcf.MISSING if np.isnan(value) else np.format_float_positional(value, trim="-")


def _indices(output: Path) -> list[Path]:
    return [output.with_name(f"{output.name}{suffix}") for suffix in vcf.INDICES]


def _put_index(output: Path, index: Path | None) -> None:
    """Give an index, which was made beside a file that is yet to get its name, its own; an old one goes."""
    for target in _indices(output):
        if index is not None and index.suffix == target.suffix:
            with replacing(target, overwrite=True) as partial:
                index.replace(partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
