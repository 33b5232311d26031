"""Variants to effects: what the model says of each alternative allele, and of the genome without it, in parts.

One row an allele, in the order of the file. An allele that cannot be scored, and one whose REF the genome does not
have, has a row without numbers, and is counted and named.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Self

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats import vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.vcf import Variant
from zoo.genome import effect_files, haplotypes
from zoo.genome.genome_job import GenomeJob, Plan
from zoo.genome.haplotypes import REASONS, Placements
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Progress
from zoo.prediction.predict import Model
from zoo.spec import ModelSpec
from zoo.system import pipeline
from zoo.system.files import file_sha256

CHUNK = 2048
"""Variants whose windows are predicted together."""


@dataclasses.dataclass(frozen=True)
class Job(GenomeJob):
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
        return effect_files.outputs(self.output, self.variants, spec.targets)

    def plan(self, spec: ModelSpec, genome: IndexedFasta) -> Plan:
        own = {"variants sha256": file_sha256(self.variants), "shifts": list(self.options.shifts)}
        identity = self.identity("variants", spec, genome, own)
        count, size = vcf.count(self.variants), self.sharing.part_size
        if not count:
            raise ZooError(f"{self.variants}: expected variants, found none in it")
        sizes = [min(size, count - first) for first in range(0, count, size)]
        longest = max(genome.contigs.values())
        return Plan(identity, sizes, lambda parts, outputs: effect_files.join(self, spec, parts, outputs, longest))


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
    """The variants of a Job, in parts: a Work of shards.py. Parts that are done in order read the file once."""

    def __init__(self, genome: IndexedFasta, model: Model, job: Job) -> None:
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
